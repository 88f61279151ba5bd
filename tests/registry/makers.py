"""Small whole versions, published in a line."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import sparse

from include.recommender.models.als import Als
from include.recommender.registry.bundle import ModelPart, describe, save_seen
from include.recommender.registry.channels import Move
from include.recommender.registry.moves import moved_now

ITEMS = ("00", "01", "02", "03")


def part(items=ITEMS):
    rng = np.random.default_rng(1)
    als = Als(rng.random((3, 2), dtype=np.float32), rng.random((len(items), 2), dtype=np.float32))
    return ModelPart(als, pa.array(["a", "b", "c"]), pa.array(list(items)), np.arange(float(len(items))))


def about(name, as_of, decision="PROMOTE", **changes):
    verdict = {
        "decision": decision,
        "reasons": ["better than popularity_all_time at 95% confidence"],
        "top_k": 10,
        "n_users": 3,
        "candidate_recall": 0.25,
        "opponent": "popularity_all_time",
        "opponent_recall": 0.2,
        "relative_lift": 0.25,
        "forced": None,
    }
    body = {
        "model_id": name,
        "as_of": as_of,
        "snapshot": as_of[:10],
        "cut_s": 1_530_000_000,
        "reviews": "abc",
        "config": {"train": {"factors": 2}, "encode": {"holdout_fraction": 0.1}},
        "metrics": {
            "candidate": {"recall@5": 0.1, "recall@10": 0.25},
            "popularity_all_time": {"recall@5": 0.1, "recall@10": 0.2},
        },
        "verdict": verdict,
        "lineage": {},
        "run": f"run of {as_of}",
        "code_version": "c0de",
        "libraries": {"numpy": "2"},
    }
    return {**body, **changes}


def publish(registry, name, as_of="2018-09-03T00:00:00+00:00", decision="PROMOTE", items=ITEMS, **changes):
    """A version with all its files; return its id."""
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory)
        for each in ("judged", "published"):
            part(items).save(made, each)
        save_seen(made, sparse.csr_matrix((np.ones(3, np.float32), [0, 2, 1], [0, 2, 2, 3]), shape=(3, len(items))))
        counts = {"train": 3, "train_users": 3, "train_items": len(items), "holdout": 1}
        (made / "fold.json").write_text(json.dumps({"judged": counts, "published": counts}))
        (made / "MODEL_CARD.md").write_text(f"# Model {name}\n")
        assert registry.publish(name, made, describe(made, about(name, as_of, decision, **changes)))
    return name


def move(registry, to_model, kind="promote", channel="production", why="a test"):
    """Move a channel as the DAG does, from where it is."""
    state = registry.channels.read(channel)
    as_of = registry.manifest(to_model)["as_of"]
    before = state.model_id if state else None
    made = Move(channel, moved_now(), before, to_model, as_of, "dag", why, "PROMOTE", "r1", kind)
    return registry.promote(made, state)


def day(number):
    """An as_of in September 2018."""
    return f"2018-09-{number:02}T00:00:00+00:00"


def line(registry, *names):
    """Versions of ascending as_of, each promoted after the other."""
    for number, name in enumerate(names, 1):
        publish(registry, name, day(number))
        move(registry, name)
    return registry.channels
