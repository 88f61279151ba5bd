"""A batch: what is written for whom, decided once, and its manifest."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..errors import DataError
from ..parameters.of_batch import NEW_ITEM_DAYS, BatchConfig
from ..registry.batches import batch_folder
from ..registry.bundle import MANIFEST, Manifest
from ..registry.code import code_of
from ..registry.provenance import library_versions
from ..storage.artifacts import canonical_hash
from ..storage.documents import Count, Instant, ModelId, Origin, decode, to_json
from ..storage.objects import ObjectStore
from .parts import PART_ROWS, Kind, Part, part_name, written_parts

# Modules that decide on the bytes of a list, with what they import from the computing rooms.
PACKAGE = __name__.rsplit(".", 2)[0]
LISTING = (
    "serving.batch",
    "serving.exposure",
    "serving.new_items",
    "serving.parts",
    "serving.version",
    "registry.bundle",
    "registry.seen",
    "models.scoring",
    "models.confidence",
)
# Fields of `BatchConfig` that decide on the bytes of a list.
SETTINGS = ("list_size", "active_days", "similar_items", "new_item_share", "new_item_days")


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a batch is. plan : a hash of all that decides its bytes"""

    model_id: ModelId
    as_of: Instant
    list_size: Count
    active_days: Count
    similar_items: Count
    # Defaults of manifests that were written before these were fields.
    new_item_share: float = 0.0
    new_item_days: Count = NEW_ITEM_DAYS
    plan: str

    @classmethod
    def of(cls, manifest: Manifest, config: BatchConfig) -> Plan:
        """The plan of a version and a configuration, with the code of this process."""
        settings: dict[str, Any] = {name: getattr(config, name) for name in SETTINGS}
        settings["new_item_share"] = float(config.new_item_share)
        code = [code_of(f"{PACKAGE}.{name}") for name in LISTING]
        decided = {"code": code, "libraries": library_versions(), "part_rows": PART_ROWS, **settings}
        return cls(model_id=manifest.model_id, as_of=manifest.as_of, plan=canonical_hash(decided)[:12], **settings)

    @property
    def folder(self) -> str:
        """Key of the folder."""
        return batch_folder(self.model_id, self.plan)

    @property
    def config(self) -> BatchConfig:
        """The configuration."""
        return BatchConfig(model=self.model_id, **{name: getattr(self, name) for name in SETTINGS})

    def check_code(self, manifest: Manifest) -> None:
        """Raise DataError if the code of this process would write other lists than were planned."""
        if Plan.of(manifest, self.config) != self:
            raise DataError(
                f"{self.folder}: the code or its libraries changed since this batch was planned. "
                "Clear resolve_model with all tasks after it."
            )


class BatchManifest(Plan, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A plan and its parts; a batch exists when this is there."""

    format: Literal[1] = 1
    users: list[Part]
    similar: list[Part]


def finish(objects: ObjectStore, plan: Plan, *, user_parts: int, similar_parts: int) -> str:
    """Write the manifest, which makes a batch exist; return its URI. The version may be retired by now.

    Parameters
    ----------
    user_parts, similar_parts : number of parts that were written

    Raises
    ------
    DataError
        A part is missing or has other content than was written.
    """
    manifest = BatchManifest(
        **msgspec.structs.asdict(plan),
        users=_all_of(objects, plan, "users", user_parts),
        similar=_all_of(objects, plan, "similar", similar_parts),
    )
    key = f"{plan.folder}/{MANIFEST}"
    objects.write(key, to_json(manifest))
    return objects.uri(key)


def _all_of(objects: ObjectStore, plan: Plan, kind: Kind, n: int) -> list[Part]:
    found = written_parts(objects, plan.folder, kind)
    names = [part_name(kind, number) for number in range(n)]
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            f"{objects.uri(plan.folder)}/{missing[0]}: is not there, or is not what was written ({len(missing):,} of "
            f"{n:,} parts). Clear resolve_model with all tasks after it."
        )
    return [found[name] for name in names]


def read_batch(objects: ObjectStore, folder: str) -> BatchManifest:
    """The manifest of a batch. Raises NotFound where it is not finished, and DataError where it is damaged."""
    key = f"{folder}/{MANIFEST}"
    origin = Origin(objects.uri(key), "the manifest of a batch", "Delete it, and run recommender_batch again.")
    return decode(objects.read(key), BatchManifest, origin)
