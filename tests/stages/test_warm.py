"""Warm start on a real store: item factors joined by id; the users follow from their histories."""

import numpy as np
import pyarrow as pa

from include.recommender.config import TrainConfig
from include.recommender.data.encoding import EncodedFold
from include.recommender.ids import Vocabulary
from include.recommender.stages import fit, warm
from include.recommender.stages.warm import ItemFactors, candidate_start, joined_factors

from ..candidates import AUGUST, CHANNEL, JULY, Candidate

PARAMS = {"factors": 8, "warm_start": True, "warm_iterations": 2, "champion_tolerance": 1.0}


def test_factors_are_joined_by_id_and_unknown_items_begin_at_random():
    known = ItemFactors(np.arange(4, dtype=np.float32).reshape(2, 2), Vocabulary(pa.array(["b", "d"])))
    joined = joined_factors(known, Vocabulary(pa.array(["a", "b", "c", "d"])), TrainConfig(factors=2))
    assert joined.n_known == 2
    found = joined.factors
    assert found[[1, 3]].tolist() == known.factors.tolist()
    assert (np.abs(found[[0, 2]]) <= 0.01).all()
    assert found[0].tolist() != found[2].tolist()


def test_a_refit_and_a_later_candidate_begin_with_item_factors(workspace):
    first = Candidate(workspace, JULY, **PARAMS)
    refitted = workspace.artifacts.open(workspace.registry.manifest(first.model_id).lineage["refit/train_als"])
    assert refitted.counts["start"] == first.fitted.trained.digest
    assert refitted.counts["warm_items"] == first.fitted.encoded.counts["train_items"]
    assert refitted.counts["iterations"] == 2
    first.promote()
    later = Candidate(workspace, AUGUST, **PARAMS)
    start = candidate_start(workspace, later.fitted.encoded, CHANNEL, later.config.train)
    assert start.source == f"{first.model_id}/published"
    fold = EncodedFold.load(workspace.artifacts.path(later.fitted.encoded))
    joined = warm.warm_factors(workspace, later.parsed, fold, start, later.config.train)
    published = fit.load_factors(workspace, refitted)
    assert joined.n_known == len(published)
    assert {row.tobytes() for row in published} <= {row.tobytes() for row in joined.factors}
    again = fit.train_als(workspace, later.parsed, later.fitted.encoded, later.config, start).artifact
    assert (again.counts["start"], again.counts["iterations"]) == (start.source, 2)
    # Two sweeps after a warm start do not do worse than five from nothing.
    assert again.counts["loss"] <= later.fitted.trained.counts["loss"] * 1.05
