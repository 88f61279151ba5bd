"""The worlds in which the gate is tried have the truth that they say."""

import numpy as np

from benchmarks.gate_worlds import Outcome, World, outcome, report
from include.recommender.config import RetrainConfig
from include.recommender.data.encoding import encode
from include.recommender.evaluation.evaluate import fold_task
from include.recommender.models.popularity import fit_popularity
from include.recommender.models.ranking import recommend_all


def test_the_truth_of_a_list_is_how_often_the_next_choice_is_in_it():
    world, config, rng = World.of(2.0, 200, np.random.default_rng(3)), RetrainConfig(), np.random.default_rng(4)
    fold = encode(world.reviews, int(world.reviews.time.max()) + 1, config.encode)
    task = fold_task(fold, config.evaluate)
    model = fit_popularity(fold.item_interactions, config.popularity)["popularity_all_time"]
    best, hits = recommend_all(model, task.seen, task.seen, 10), []
    for row, user in enumerate(fold.user_codes[task.rows]):
        left = world.chances[user].copy()
        left[fold.item_codes[task.seen.items[slice(*task.seen.indptr[row : row + 2])]]] = 0
        drawn = rng.choice(len(left), size=300, p=left / left.sum())
        hits.append(np.isin(drawn, fold.item_codes[best[row]]).mean())
    assert abs(np.mean(hits) - world.truth(model, fold, task, 10)) < 0.01


def test_users_choose_as_often_as_their_chances_say():
    world = World.of(0.0, 3_000, np.random.default_rng(0))
    first = world.reviews.item[np.concatenate([[True], np.diff(world.reviews.user) > 0])]
    found = np.bincount(first, minlength=world.chances.shape[1]) / len(first)
    assert np.abs(found - world.chances[0]).max() < 0.02


def test_a_world_is_the_same_again_and_wrong_promotions_are_counted():
    assert outcome(0.0, 300, 5) == outcome(0.0, 300, 5)
    wrong, right = Outcome("PROMOTE", -0.1, "blend", 10), Outcome("PROMOTE", 0.3, "als", 10)
    assert report({1.0: [wrong] * 50 + [right]})[1] is False
    held = Outcome("HOLD", -0.005, "als", 10)
    few, many = report({1.0: [held] * 20}), report({1.0: [held] * 100})
    assert (few[1], many[1]) == (False, True)  # 20 worlds show nothing
    assert "true lift -1% to 0%        100 worlds, promoted 0.0% (0.0%, 3.6%)" in many[0]
    text, within = report({1.0: [right] * 50})
    assert within
    assert "true lift 20% to inf%" in text
