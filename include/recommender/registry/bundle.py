"""A bundle: the immutable files of one model version. No pickle, ever.

It keeps two models. The judged one was fitted before the split time: a later run compares itself with it on a holdout
that it has not seen. The published one was refitted on everything before as_of. Users are their histories; see `seen`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..config import RetrainConfig
from ..data.reviews import load_vocabulary, save_vocabulary
from ..errors import DataError
from ..ids import Vocabulary
from ..models.choice import Choice
from ..models.knn.similarities import ARRAYS as ARRAYS_OF_KNN
from ..models.knn.similarities import Similarities
from ..models.model import Model
from ..models.scoring import model_of, needs_similarities
from ..models.whitening import Factors
from ..parameters.definition import ParameterValue
from ..storage.arrays import load_array, load_finite
from ..storage.artifacts import canonical_hash
from ..storage.digests import file_sha256
from ..storage.documents import Count, Decision, Instant, Sha256
from .sealed import Plain, read_document
from .verdict import Verdict

MANIFEST = "manifest.json"
SIMILAR = "similar"
# Written by a run about its model. Two runs may make the same model and write different texts, so the stored names
# contain a hash: neither run overwrites the files of the other.
JUDGEMENT = frozenset({"MODEL_CARD.md", "verdict.json"})
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
FIX = "Take another version; `list` names them. Or restore it from the bucket's versions."

Seconds = Annotated[int, msgspec.Meta(gt=0, lt=int(LATEST.timestamp()))]


class BundleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a bundle; `stored_as` is its name in the store."""

    size_bytes: Count
    sha256: Sha256
    stored_as: Plain


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The description of a version and the list of its files.

    model_id : follows from `identity` and the newest interaction; also the name of its folder
    identity : what the model is; versions that agree here are one version
    as_of : of the run that published it first, `created_at` when that was: two runs may make one version
    split_s : seconds, the instant between train and holdout of the judged part
    published_split_s : seconds, the instant after the newest interaction that the published part knows
    last_s : seconds, the newest review of the snapshot, which may lie after as_of
    reviews : digest of the review files
    config : as the run was asked; choice : what it chose for this model
    metrics : model -> metric -> value
    lineage : stage -> URI of its artifact
    """

    format: Literal[3] = 3
    model_id: Plain
    identity: dict[str, object]
    as_of: Instant
    created_at: Instant
    snapshot: str
    split_s: Seconds
    published_split_s: Seconds
    last_s: Seconds
    reviews: str
    config: dict[str, dict[str, ParameterValue]]
    choice: Choice
    metrics: dict[str, dict[str, float]]
    verdict: Verdict
    champion: str | None
    lineage: dict[str, str]
    tuned: str | None
    run: str
    code_version: str
    libraries: dict[str, str]
    files: dict[Plain, BundleFile]

    def __post_init__(self) -> None:
        problems = [*_time_problems(self), *_name_problems(self), *_verdict_problems(self)]
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def known_until(self) -> datetime:
        """The instant up to which the version knows everything, by its data; versions are ordered by it.

        Two runs with different as_of may make one version, so as_of does not describe its data.
        """
        return min(self.as_of, datetime.fromtimestamp(self.published_split_s, UTC))

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(entry.size_bytes for entry in self.files.values())

    @property
    def decision(self) -> Decision:
        """The gate's decision."""
        return self.verdict.decision


def _time_problems(manifest: Manifest) -> list[str]:
    known = datetime.fromtimestamp(manifest.published_split_s, UTC)
    problems = []
    if not known <= manifest.as_of < LATEST:
        problems.append(
            f"as_of={manifest.as_of.isoformat()}: expected an instant from {known.isoformat()}, the end of what the "
            f"version knows, to {LATEST.year}"
        )
    if manifest.split_s > manifest.published_split_s or manifest.last_s < manifest.published_split_s - 1:
        problems.append("split_s, published_split_s and last_s: expected in this order")
    if not datetime.fromtimestamp(0, UTC) < manifest.created_at < LATEST:
        problems.append(f"created_at={manifest.created_at.isoformat()}: expected an instant to {LATEST.year}")
    return problems


def _name_problems(manifest: Manifest) -> list[str]:
    expected = model_id(manifest.published_split_s - 1, manifest.identity)
    problems = [f"model_id={manifest.model_id!r}: its identity gives {expected}"] * (manifest.model_id != expected)
    for name, entry in manifest.files.items():
        stored = _stored_as(name, entry.sha256)
        if entry.stored_as != stored or name == MANIFEST:
            problems.append(f"files.{name}: stored_as={entry.stored_as!r}, expected {stored!r}")
    return problems


def _verdict_problems(manifest: Manifest) -> list[str]:
    needed = ("candidate", manifest.verdict.baseline)
    return [f"metrics: lacks {name}" for name in needed if name not in manifest.metrics]


@dataclass(frozen=True)
class ModelPart:
    """The item side of a model.

    item_factors : float32, shape (n_items, n_factors)
    items : the ids of the rows
    prior : float64, shape (n_items,), the item prior: decayed popularity when the factors end
    similar : similarities of the items; None for the family ALS
    """

    item_factors: Factors
    items: Vocabulary
    prior: np.ndarray[Any, np.dtype[np.float64]]
    similar: Similarities | None = None

    def save(self, directory: Path, part: str) -> None:
        """Write the files `<part>_*`."""
        np.save(directory / f"{part}_item_factors.npy", self.item_factors, allow_pickle=False)
        np.save(directory / f"{part}_prior.npy", self.prior, allow_pickle=False)
        save_vocabulary(directory / f"{part}_items.parquet", self.items)
        for name in ARRAYS_OF_KNN if self.similar else ():
            np.save(directory / f"{part}_{SIMILAR}_{name}.npy", getattr(self.similar, name), allow_pickle=False)

    @classmethod
    def load(cls, directory: Path, part: str, config: RetrainConfig) -> ModelPart:
        """Read and check the files `<part>_*` of a configuration; see `served_config`.

        Raises
        ------
        DataError
            A file is missing or wrong; the message names it.
        """
        item_factors = load_finite(directory / f"{part}_item_factors.npy", np.float32, (None, None))
        prior_path = directory / f"{part}_prior.npy"
        prior = load_finite(prior_path, np.float64, (len(item_factors),))
        if (prior < 0).any():
            raise DataError(f"{prior_path.name}: holds values below 0")
        items = read_vocabulary(directory / f"{part}_items.parquet", len(item_factors))
        similar = load_similarities(directory, f"{part}_{SIMILAR}", len(items)) if needs_similarities(config) else None
        return cls(item_factors, items, prior, similar)

    def model(self, config: RetrainConfig) -> Model:
        """Return the scoring model for the configuration that the parts were fitted with."""
        return model_of(self.item_factors, self.similar, self.prior, config)


def load_similarities(directory: Path, name: str, n_items: int) -> Similarities:
    """Read and check the files `<name>_*`. Raises DataError that names the wrong file."""
    dtypes = {"indptr": np.int64, "neighbours": np.int32, "values": np.float32}
    found = {each: load_array(directory / f"{name}_{each}.npy", dtypes[each], (None,)) for each in ARRAYS_OF_KNN}
    similar = Similarities(**found)
    similar.check(n_items, f"{directory / name}_")
    return similar


def read_vocabulary(path: Path, n: int) -> Vocabulary:
    """Read a vocabulary. Raises DataError if it does not have n ids."""
    try:
        rows = pq.read_metadata(path).num_rows  # before anything is unpacked
        if rows != n:
            raise DataError(f"{path.name}: {rows:,} ids, expected {n:,}")
        return Vocabulary.checked(load_vocabulary(path).ids)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(f"{path.name}: not a vocabulary ({error})") from error


def model_id(newest_s: int, identity: Mapping[str, Any]) -> str:
    """`<date of the newest review it knows>-<hash of what it is>`: the same model has the same id, whenever it is made.

    Were the date that of the run, a model that was rolled back would come again under another name next week.
    """
    return f"{datetime.fromtimestamp(newest_s, UTC):%Y%m%d}-{canonical_hash(dict(identity))[:12]}"


def describe(directory: Path, about: Mapping[str, Any], created_at: datetime | None = None) -> Manifest:
    """The manifest of the files in a directory.

    Parameters
    ----------
    about : the fields of `Manifest` that are not given here
    created_at : the present moment where it is None
    """
    files = {path.name: _file_entry(path) for path in sorted(directory.iterdir()) if path.name != MANIFEST}
    fields = {"created_at": created_at or datetime.now(UTC), **about, "files": files}
    try:
        return msgspec.convert(msgspec.to_builtins(fields), Manifest)
    except msgspec.ValidationError as error:
        raise DataError(f"{directory.name}: these files make no version: {error}") from error


def _file_entry(path: Path) -> BundleFile:
    found = file_sha256(path)
    return BundleFile(path.stat().st_size, found, _stored_as(path.name, found))


def _stored_as(name: str, sha256: str) -> str:
    path = Path(name)
    return f"{path.stem}-{sha256[:12]}{path.suffix}" if name in JUDGEMENT else name


def is_judgement(stored: str) -> bool:
    """Whether an object's name is that of a judgement that a run wrote about its model."""
    return any(stored.startswith(f"{Path(name).stem}-") and stored.endswith(Path(name).suffix) for name in JUDGEMENT)


def config_of(manifest: Manifest) -> RetrainConfig:
    """The configuration with which a version was asked for. Raises DataError if it is not complete."""
    return RetrainConfig.from_dict(manifest.config, f"The manifest of {manifest.model_id}")


def served_config(manifest: Manifest) -> RetrainConfig:
    """The configuration of the model itself, with what was chosen. Raises DataError if it is not complete."""
    return manifest.choice.applied(config_of(manifest))


def read_manifest(raw: bytes, where: str, model_id: str) -> Manifest:
    """Read the manifest of a version.

    Parameters
    ----------
    where : URI, for the message
    model_id : the folder that it was read from

    Raises
    ------
    DataError
        It is damaged, has a format that this code does not read, or belongs to another folder.
    """
    manifest = read_document(raw, Manifest, where, FIX)
    if manifest.model_id != model_id:
        raise DataError(f"{where}: is the manifest of {manifest.model_id}, which was copied here. {FIX}")
    return manifest
