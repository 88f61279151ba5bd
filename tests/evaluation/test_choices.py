"""The benchmark against which the rule that chooses a model is measured (benchmarks/choices.py)."""

import numpy as np

from benchmarks.choices import ORACLE, Split, report, rules, split_of
from include.recommender.evaluation.choose import CLEARLY_WORSE, choose_model
from include.recommender.evaluation.grid import configured

from .taste_worlds import CONFIG, world


def test_the_rule_that_is_used_chooses_what_a_training_chooses():
    split = split_of(world(0.0, 3.0), CONFIG)
    chosen = split.chosen(CONFIG, CLEARLY_WORSE)
    assert split.in_use(CONFIG) == chosen
    assert chosen.choice() == choose_model(world(0.0, 3.0), CONFIG).choice
    assert chosen != configured(CONFIG)
    blind = Split(inner=None, raced=None, holdout=split.holdout, choice_s=1.0, fit_s=1.0)
    # Where too few users are there to choose by, nothing is chosen.
    assert blind.chosen(CONFIG, 0.0) == blind.in_use(CONFIG) == configured(CONFIG)
    output = report([split, blind], CONFIG)
    both = np.concatenate([split.reached(chosen), split.reached(configured(CONFIG))]).mean()
    (row,) = (line.split() for line in output.splitlines() if line.startswith("in use"))
    assert (row[2], row[6]) == (f"{both:.4f}", "1")


def test_families_are_chosen_within_and_nothing_beats_the_best_on_the_holdout():
    split = split_of(world(1.0, 1.0), CONFIG)
    found = {name: rule(split) for name, rule in rules(CONFIG).items()}
    for name, family in (("als alone", "als"), ("knn alone", "knn"), ("blend", "blend")):
        assert found[name].choice().family == family
    best = split.reached(found[ORACLE]).mean()
    assert all(split.reached(point).mean() <= best for point in found.values())
