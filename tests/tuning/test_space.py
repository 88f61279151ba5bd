"""What can be searched, and how values get into a configuration."""

import pytest

from include.recommender.config import RetrainConfig
from include.recommender.errors import ConfigError
from include.recommender.parameters import RETRAIN
from include.recommender.parameters.definition import OneOf
from include.recommender.parameters.of_search import ALWAYS, SPACE
from include.recommender.tuning.space import (
    CHOSEN,
    applied,
    check_read,
    differing,
    distributions,
    inside,
    searched,
    tunable,
    value_text,
    values_of,
)

UNORDERED = {name for name, space in SPACE.items() if isinstance(space, OneOf)}


def test_every_name_is_a_parameter_and_its_bounds_are_allowed():
    for name in SPACE.keys() - UNORDERED:
        assert RETRAIN[name].problem(SPACE[name].low) is None, name
        assert RETRAIN[name].problem(SPACE[name].high) is None, name


def test_all_values_without_order_can_be_searched():
    assert sorted(UNORDERED) == ["family", "knn_similarity"]
    for name in UNORDERED:
        assert set(SPACE[name].values) == set(RETRAIN[name].kind.options)


def test_the_defaults_lie_in_the_space():
    assert inside(values_of(RetrainConfig(), list(SPACE)))


def test_the_weight_of_unverified_purchases_is_searched_where_there_are_both_kinds():
    assert searched(None, both_kinds=False) == [name for name in SPACE if name in ALWAYS]
    assert "unverified_weight" in searched([], both_kinds=True)
    assert searched(["prior_power", "alpha"], both_kinds=True) == ["alpha", "prior_power"]


def test_a_strange_name_is_named():
    with pytest.raises(ConfigError, match="top_k"):
        searched(["alpha", "top_k"], both_kinds=False)


def test_a_parameter_that_the_model_does_not_read_is_refused():
    alone = RetrainConfig.from_params({"family": "als"})
    with pytest.raises(ConfigError, match="knn_weight searched, and family=als does not read that"):
        check_read(["knn_weight"], alone)
    check_read(["knn_weight", "family"], alone)
    check_read(["knn_weight"], RetrainConfig())
    check_read(["factors"], alone)
    check_read(["knn_neighbours"], alone)  # its family is chosen, and may read it
    fixed = RetrainConfig.from_params({"family": "als", "fit_family": False})
    with pytest.raises(ConfigError, match="knn_neighbours, knn_weight searched, and family=als does not read that"):
        check_read(["alpha", "knn_weight", "knn_neighbours"], fixed)


def test_the_regularization_of_ease_is_searched_where_ease_is_or_may_be():
    names, off = ["ease_regularization"], {"fit_similarity": False}
    for config in ({}, {"knn_similarity": "ease"}, {"knn_similarity": "ease", **off}):
        check_read(names, RetrainConfig.from_params(config))
    check_read([*names, "knn_similarity"], RetrainConfig.from_params(off))
    with pytest.raises(ConfigError, match="ease_regularization searched, and knn_similarity=bm25 does not read that"):
        check_read(names, RetrainConfig.from_params(off))


def test_optuna_gets_the_same_bounds():
    found_of = distributions(list(SPACE))
    assert found_of["factors"].high == 512
    assert {name: found_of.pop(name).choices for name in UNORDERED} == {name: SPACE[name].values for name in UNORDERED}
    for name, found in found_of.items():
        assert (found.low, found.high, found.log) == (SPACE[name].low, SPACE[name].high, SPACE[name].log)
        assert isinstance(found.low, int) == isinstance(RETRAIN[name].default, int)


@pytest.mark.parametrize(
    ("values", "fixed"),
    [
        ({"alpha": 7.0, "knn_neighbours": 40}, set()),
        ({"prior_power": 0.7}, {"fit_prior"}),
        ({"prior_half_life_days": 7.0}, {"fit_prior"}),
        ({"half_life_days": 7.0}, {"fit_ageing"}),
        ({"family": "knn"}, {"fit_family"}),
        ({"knn_weight": 2.0}, {"fit_family"}),
        ({"knn_similarity": "ease"}, {"fit_similarity"}),
        ({"ease_regularization": 30.0}, set()),
        ({"factors": 512}, {"fit_factors"}),
        ({"factors": 32, "family": "als", "prior_power": 0.7}, {"fit_factors", "fit_family", "fit_prior"}),
    ],
)
def test_what_is_searched_is_what_is_used_and_is_not_chosen_again(values, fixed):
    config = applied(RetrainConfig(), values)
    assert values_of(config, list(values)) == values
    assert values_of(config, list(CHOSEN)) == {flag: flag not in fixed for flag in CHOSEN}


def test_a_flag_that_the_run_turned_off_stays_off():
    config = RetrainConfig.from_params({"fit_family": False})
    assert not applied(config, {"factors": 32}).model.fit_family


def test_a_value_that_is_not_allowed_is_named():
    with pytest.raises(ConfigError, match="family='svd'"):
        applied(RetrainConfig(), {"family": "svd"})


def test_a_value_outside_the_space_is_seen():
    assert inside({"family": "als", "factors": 512, "alpha": 5})
    assert not inside({"family": "svd"})
    assert not inside({"family": 3})
    assert not inside({"factors": 513})
    assert not inside({"factors": "many"})


def test_a_tuned_configuration_holds_all_that_makes_the_model():
    values = {"family": "als", "fit_family": False, "knn_neighbours": 40, "recall_given_up": 0.02, "factors": 512}
    assert differing(RetrainConfig.from_params({**values, "top_k": 20})) == values
    assert {*SPACE, *CHOSEN} <= set(tunable())


def test_values_are_short_texts():
    assert [value_text(value) for value in (0.123456, 20_181, "knn", False)] == ["0.1235", "20181", "knn", "False"]
