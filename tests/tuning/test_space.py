"""What can be searched, and how values get into a configuration."""

import pytest

from include.recommender.config import RetrainConfig
from include.recommender.errors import ConfigError
from include.recommender.parameters import RETRAIN
from include.recommender.parameters.of_search import ALWAYS, SPACE
from include.recommender.tuning.space import applied, chosen, distributions, inside, values_of


def test_every_name_is_a_parameter_and_its_bounds_are_allowed():
    for name, space in SPACE.items():
        assert RETRAIN[name].problem(space.low) is None, name
        assert RETRAIN[name].problem(space.high) is None, name


def test_the_defaults_lie_in_the_space():
    assert inside(values_of(RetrainConfig(), list(SPACE)))


def test_the_weight_of_unverified_purchases_is_searched_where_there_are_both_kinds():
    assert chosen(None, both_kinds=False) == [name for name in SPACE if name in ALWAYS]
    assert "unverified_weight" in chosen([], both_kinds=True)
    assert chosen(["prior_power", "alpha"], both_kinds=True) == ["alpha", "prior_power"]


def test_a_strange_name_is_named():
    with pytest.raises(ConfigError, match="top_k"):
        chosen(["alpha", "top_k"], both_kinds=False)


def test_optuna_gets_the_same_bounds():
    for name, found in distributions(list(SPACE)).items():
        assert (found.low, found.high, found.log) == (SPACE[name].low, SPACE[name].high, SPACE[name].log)
        assert isinstance(found.low, int) == isinstance(RETRAIN[name].default, int)


@pytest.mark.parametrize("name", ["prior_power", "prior_half_life_days"])
def test_a_searched_prior_is_not_learned_again(name):
    assert not applied(RetrainConfig(), {name: 0.7}).prior.fit


def test_what_is_searched_is_what_is_used():
    config = applied(RetrainConfig(), {"prior_power": 0.7, "factors": 32})
    assert (config.prior.power, config.prior.fit, config.train.factors) == (0.7, False, 32)
    assert applied(RetrainConfig(), {"factors": 32}).prior.fit
