"""Small whole versions, published in a line."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import sparse

from include.recommender.config import RetrainConfig
from include.recommender.ids import Vocabulary
from include.recommender.models.choice import Choice
from include.recommender.models.knn.similarities import Similarities
from include.recommender.registry.bundle import ModelPart, describe, model_id
from include.recommender.registry.channels import Move
from include.recommender.registry.listing import FOLD, FoldFile
from include.recommender.registry.moves import moved_now
from include.recommender.registry.seen import Seen
from include.recommender.storage.documents import to_json

from ..documents import fold_counts, verdict

CHOSEN = RetrainConfig.from_params({"factors": 2, "prior_power": 0.0})
CONFIG = CHOSEN.as_dict()
ITEMS = ("00", "01", "02", "03")
CREATED = datetime(2026, 11, 1, tzinfo=UTC)


def day(number):
    """An instant in September 2018."""
    return f"2018-09-{number:02}T00:00:00+00:00"


class Version(str):
    """The id of a version that knows everything until an instant; `label` stands for all that it is."""

    label: str
    known_until: datetime

    def __new__(cls, label, known_until):
        instant = datetime.fromisoformat(known_until)
        made = super().__new__(cls, model_id(int(instant.timestamp()) - 1, {"label": label}))
        made.label, made.known_until = label, instant
        return made

    def __reduce__(self):
        return str, (str(self),)


def version(label, number=3):
    """A version that knows everything until a day in September 2018."""
    return Version(label, day(number))


M1, M2, M3, M4, M5 = (version(f"m{number}", number) for number in range(1, 6))
OLD = Version("old", "2018-08-01T00:00:00+00:00")


def part(items=ITEMS):
    rng = np.random.default_rng(1)
    factors = rng.random((len(items), 2), dtype=np.float32)
    return ModelPart(factors, Vocabulary(pa.array(list(items))), np.arange(float(len(items))), similar(len(items)))


def similar(n_items):
    """Each item is similar to the one before it and to the next."""
    near = sparse.diags_array([np.full(n_items - 1, 0.5), np.full(n_items - 1, 2.0)], offsets=[-1, 1])
    return Similarities.of(sparse.csr_matrix(near, shape=(n_items, n_items)))


def seen(n_items):
    """Three users, the second of whom has no history."""
    return Seen(
        users=Vocabulary(pa.array(["a", "b", "c"])),
        indptr=np.array([0, 2, 2, 3]),
        indices=np.array([0, 2, 1], dtype=np.int32),
        times=np.array([1_500_000_000, 1_510_000_000, 1_520_000_000]),
        ratings=np.array([5, 1, 4], dtype=np.float32),
        verified=np.array([1, 0, -1], dtype=np.int8),
        n_items=n_items,
    )


def about(name, decision="PROMOTE", **changes):
    known_s = int(name.known_until.timestamp())
    body = {
        "model_id": str(name),
        "identity": {"label": name.label},
        "as_of": name.known_until,
        "created_at": CREATED + (name.known_until - datetime(2018, 9, 1, tzinfo=UTC)),
        "snapshot": name.known_until.date().isoformat(),
        "split_s": 1_530_000_000,
        "published_split_s": known_s,
        "last_s": known_s - 1,
        "reviews": "abc",
        "config": CONFIG,
        "choice": Choice.of(CHOSEN),
        "metrics": {
            "candidate": {"recall@5": 0.1, "recall@10": 0.25},
            "popularity_all_time": {"recall@5": 0.1, "recall@10": 0.2},
        },
        "verdict": verdict(decision=decision),
        "champion": None,
        "lineage": {},
        "tuned": None,
        "run": f"run of {name.label}",
        "code_version": "c0de",
        "libraries": {"numpy": "2"},
    }
    return {**body, **changes}


def make(directory, name, decision="PROMOTE", items=ITEMS, **changes):
    """All files of a version; return its manifest."""
    for each in ("judged", "published"):
        part(items).save(directory, each)
    seen(len(items)).save(directory)
    counts = fold_counts(train=3, train_users=3, train_items=len(items), holdout=1)
    (directory / FOLD).write_bytes(to_json(FoldFile(counts, counts)))
    (directory / "MODEL_CARD.md").write_text(f"# Model {name.label}\n")
    return describe(directory, about(name, decision, **changes))


def publish(registry, name, decision="PROMOTE", items=ITEMS, **changes):
    """A version with all its files; return its id."""
    with tempfile.TemporaryDirectory() as directory:
        assert registry.publish(Path(directory), make(Path(directory), name, decision, items, **changes))
    return name


def moving(to_model, known_until, from_model=None, *, kind="promote", channel="production", who="dag", why="a test"):
    """A move as the DAG makes it."""
    return Move(
        channel=channel,
        moved_at=moved_now(),
        from_model=str(from_model) if from_model else None,
        to_model=str(to_model),
        known_until=known_until,
        who=str(who),
        why=why,
        verdict="PROMOTE",
        run="r1",
        kind=kind,
    )


def move(registry, to_model, kind="promote", channel="production", why="a test"):
    """Move a channel as the DAG does, from where it is."""
    state = registry.channels.read(channel)
    before = state.model_id if state else None
    known_until = registry.manifest(to_model).known_until
    return registry.promote(moving(to_model, known_until, before, kind=kind, channel=channel, why=why), state)


def line(registry, *names):
    """Versions, each promoted after the other."""
    for name in names:
        publish(registry, name)
        move(registry, name)
    return registry.channels
