"""Metrics of every user against trec_eval (through pytrec_eval), an independent implementation.

recall: both divide by all held-out items. ndcg_cut: the same discount, and the ideal cut off at K. recip_rank and
success have the same meaning once the run ends at K. map_cut differs: trec_eval divides by all relevant items, we by
min(K, relevant), so its value is multiplied by n_held / min(K, n_held) before comparing.
"""

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from include.recommender.config import EvaluateConfig
from include.recommender.evaluation.evaluate import Task, judge
from include.recommender.evaluation.metrics import per_user
from include.recommender.models.histories import Histories
from include.recommender.models.ranking import recommend_all

from ..tables import Table


def reference(best, held, k):
    """trec_eval's values of each user."""
    qrels = {f"u{user}": {str(item): 1 for item in items} for user, items in enumerate(held)}
    run = {
        f"u{user}": {str(item): float(k - rank) for rank, item in enumerate(row[:k]) if item >= 0}
        for user, row in enumerate(best.tolist())
    }
    measures = {f"recall.{k}", f"ndcg_cut.{k}", f"map_cut.{k}", "recip_rank", f"success.{k}"}
    found = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    names = {
        "recall": f"recall_{k}",
        "ndcg": f"ndcg_cut_{k}",
        "map": f"map_cut_{k}",
        "mrr": "recip_rank",
        "hit_rate": f"success_{k}",
    }
    users = [f"u{user}" for user in range(len(held))]
    values = {ours: np.array([found[user][theirs] for user in users]) for ours, theirs in names.items()}
    n_held = np.array([len(items) for items in held])
    values["map"] *= n_held / np.minimum(n_held, k)
    return values


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 60), st.integers(1, 25), st.integers(0, 2**32 - 1))
def test_every_user_agrees_with_trec_eval(n_items, k, seed):
    rng = np.random.default_rng(seed)
    n_users, n_cold = 12, 5
    seen = sparse.csr_matrix(rng.random((n_users, n_items)) < 0.3, dtype=np.float32)
    # Items from n_items on are cold: held out, unknown to the model, and in the denominator all the same.
    held = [
        np.sort(rng.choice(n_items + n_cold, rng.integers(1, n_items + n_cold), replace=False)) for _ in range(n_users)
    ]
    columns = np.concatenate(held).astype(np.int32)
    task = Task(
        rows=np.arange(n_users, dtype=np.int32),
        seen=Histories.of(seen),
        held_indptr=np.cumsum([0, *map(len, held)]),
        held_items=np.where(columns < n_items, columns, -1),
        item_counts=np.bincount(seen.indices, minlength=n_items),
    )
    model = Table(rng.random((n_users, n_items)))
    best = recommend_all(model, model.users, task.seen, k)
    expected = reference(best, held, k)

    hits = np.array([np.isin(row, items) & (row >= 0) for row, items in zip(best, held, strict=True)])
    ours = per_user(hits, task.n_held, k)
    for name, values in expected.items():
        np.testing.assert_allclose(ours[name], values, atol=1e-9, err_msg=name)

    config = EvaluateConfig(top_k=k)
    judged = judge({"model": model}, task, config, model.users)["model"]
    np.testing.assert_allclose(judged.recall, expected["recall"], atol=1e-9)
    for name, values in expected.items():
        assert judged.means[f"{name}@{k}"] == pytest.approx(values.mean(), abs=1e-9)
