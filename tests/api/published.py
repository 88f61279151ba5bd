"""Versions of random factors and histories, published as a run publishes them."""

import tempfile
from dataclasses import replace
from pathlib import Path

from include.recommender.models.choice import Choice
from include.recommender.registry.bundle import ModelPart, describe
from include.recommender.registry.listing import FOLD, FoldFile
from include.recommender.storage.documents import to_json

from ..documents import fold_counts
from ..registry import makers
from ..serving.versions import version


def publish(registry, name, n_items=300, n_factors=8, seed=0, **params):
    """A version with its files; return what it is in memory."""
    served = version(n_items, n_factors, seed, **params)
    config = served.config
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        factors = served.measure.args[0]
        for part in ("judged", "published"):
            ModelPart(factors, served.items, served.model.prior.popularity, served.model.similar).save(directory, part)
        served.seen.save(directory)
        counts = fold_counts(train=3, train_users=8, train_items=n_items, holdout=1)
        (directory / FOLD).write_bytes(to_json(FoldFile(counts, counts)))
        (directory / "MODEL_CARD.md").write_text(f"# Model {name.label}\n")
        about = makers.about(name, config=config.as_dict(), choice=Choice.of(config))
        manifest = describe(directory, about)
        assert registry.publish(directory, manifest)
    return replace(served, manifest=manifest)
