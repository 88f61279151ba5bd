"""A published version in memory: what it knows about items, the histories of its users, and the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path

from ..config import RetrainConfig
from ..ids import Vocabulary
from ..models.histories import Histories
from ..models.model import Model
from ..models.similar import Similarity
from ..registry.bundle import Manifest, ModelPart, served_config
from ..registry.copies import local_copy
from ..registry.registry import Registry
from ..registry.seen import Seen
from .memory import check_version_memory
from .new_items import NewItems, Seconds, first_interactions

PART = "published"
NEW_ITEMS_KEPT = 2


@dataclass(frozen=True, kw_only=True)
class ServedVersion:
    """One version, immutable. All of its users and items have the positions of their ids in `users` and `items`.

    measure : computes the similarity of items
    """

    manifest: Manifest
    config: RetrainConfig
    items: Vocabulary
    seen: Seen
    model: Model
    measure: Callable[[], Similarity]

    @classmethod
    def fetch(cls, registry: Registry, model_id: str, cache: Path, *, working_bytes: int = 0) -> ServedVersion:
        """Fetch and verify a version's files, and load them.

        Parameters
        ----------
        working_bytes : memory that the work on the version needs besides

        Raises
        ------
        NotFound
            There is no such version.
        DataError
            A file is damaged.
        ConfigError
            The free memory does not suffice.
        """
        manifest, directory = registry.manifest(model_id), local_copy(registry, model_id, cache)
        check_version_memory(directory, working_bytes)
        return cls.load(manifest, directory)

    @classmethod
    def load(cls, manifest: Manifest, directory: Path) -> ServedVersion:
        """Load verified files. Raises DataError naming the file that is wrong."""
        config = served_config(manifest)
        part = ModelPart.load(directory, PART, config)
        return cls(
            manifest=manifest,
            config=config,
            items=part.items,
            seen=Seen.load(directory, len(part.items)),
            model=part.model(config),
            measure=partial(Similarity.of, part.item_factors),
        )

    @property
    def users(self) -> Vocabulary:
        """The users whose histories the version has."""
        return self.seen.users

    @cached_property
    def histories(self) -> Histories:
        """What the model scores its users from, in the rows of `users`."""
        return self.seen.histories(self.manifest.published_split_s, self.config.encode)

    @cached_property
    def similarity(self) -> Similarity:
        """Cosines of items; computed when it is first asked for, and as large as the item factors."""
        return self.measure()

    @cached_property
    def first_times(self) -> Seconds:
        """The time of the first interaction with each item, int64, shape (n_items,); see `first_interactions`."""
        return first_interactions(self.seen)

    @cached_property
    def new_items(self) -> Callable[[int], NewItems]:
        """The items that are new for a number of days; those of the latest two numbers are kept."""
        # Not a method of this object: the cache and the version would keep each other in memory.
        of_days = partial(NewItems.of, self.model, self.first_times, self.manifest.published_split_s)
        return lru_cache(NEW_ITEMS_KEPT)(of_days)

    def prepare(self) -> None:
        """Compute what is computed once, so that no request computes it while others wait for the one lock."""
        model, directions = self.model, self.similarity.directions
        _ = model.ordered_prior, model.reach, model.popularity_reach, model.als.whitened.longest, directions.longest
        _ = self.first_times
