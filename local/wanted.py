"""What REVIEWS, CONF and SNAPSHOT ask for, of `make run`, `make tune` and `make up` alike; checked before any start."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.recommender.config import RetrainConfig
from include.recommender.errors import ConfigError
from include.recommender.parameters import catalogue
from include.recommender.plain_text import shown
from include.recommender.runs.dag_names import BATCH_DAG, RETRAIN_DAG, TUNE_DAG
from include.recommender.storage.cache import cache_of
from samples import generated as samples

from .given import Given
from .home import Home
from .linked import link_reviews
from .review_files import check_reviews
from .uploads import Source, find_reviews, put_reviews, put_samples, reviews_prefix, snapshot_dates

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

SHOWN = 12
EXAMPLES = dict.fromkeys((RETRAIN_DAG, TUNE_DAG), '{"factors": 32}') | {BATCH_DAG: '{"list_size": 20}'}
OF_DAG = {RETRAIN_DAG: catalogue.RETRAIN, TUNE_DAG: catalogue.TUNE, BATCH_DAG: catalogue.BATCH}


@dataclass(frozen=True)
class Wanted:
    """A run that somebody asks for.

    files : the user's review files; none means the generated samples
    conf : parameters of the DAG, without the snapshot
    snapshot : date of the snapshot; None means the newest
    """

    files: tuple[Given, ...]
    conf: Mapping[str, Any]
    snapshot: str | None

    @classmethod
    def read(cls, reviews: str, conf: str, snapshot: str, dag: str = RETRAIN_DAG) -> Wanted:
        """From what was given, which is checked; review files are read to their ends.

        Raises
        ------
        ConfigError, DataError
            What was given is not right; the message says what, where, and what is expected.
        """
        parameters = read_conf(conf, dag)
        day = _one_snapshot(snapshot, parameters.pop("snapshot", None))
        files = tuple(find_reviews(reviews)) if reviews else ()
        if day and not files:
            _check_there(day, [each.isoformat() for each in samples.snapshot_dates()], "the generated samples")
        if files:
            check_reviews(files, RetrainConfig.from_params(parameters).parse)
        return cls(files, parameters, day)

    def put(self, s3: S3Client) -> Source:
        """Put the snapshots that are not there yet. Raises ConfigError where the one asked for is not among them."""
        if not self.files:
            return put_samples(s3)
        prefix, today = reviews_prefix(self.files), datetime.now(UTC).date().isoformat()
        if self.snapshot and self.snapshot != today:
            _check_there(self.snapshot, snapshot_dates(s3, prefix), "these REVIEWS", f"; today's would be {today}")
        source = put_reviews(s3, self.files)
        if self.snapshot:
            _check_there(self.snapshot, snapshot_dates(s3, prefix), "these REVIEWS")
        return source

    def link(self, s3: S3Client, source: Source, home: Home) -> None:
        """Spare the run the download of the user's files; see `linked.link_reviews`."""
        if self.files:
            link_reviews(s3, source, self.files, cache_of({"RECOMMENDER_CACHE": str(home.path / "cache")}))

    def parameters(self, source: Source) -> dict[str, Any]:
        """Those of the run: as of its snapshot's date, so that a second run means the same."""
        snapshot = self.snapshot or source.newest
        return {**self.conf, "snapshot": snapshot, "as_of": self.conf.get("as_of") or snapshot}


def read_conf(text: str, dag: str = RETRAIN_DAG) -> dict[str, Any]:
    """Parameters of the DAG. Raises ConfigError where the text is no JSON object, or holds what the DAG refuses."""
    if os.path.isfile(text):
        raise ConfigError(
            f"CONF={text}: is a file, and CONF takes the JSON itself, so that the command says what runs: "
            f'CONF="$(cat {shlex.quote(text)})"'
        )
    try:
        conf = json.loads(text or "{}", object_pairs_hook=_each_once)
    except ValueError as error:
        raise ConfigError(
            f"CONF={text}: not JSON ({error}). Expected the JSON itself, e.g. CONF='{EXAMPLES[dag]}'"
        ) from None
    if not isinstance(conf, dict):
        raise ConfigError(f"CONF={text}: expected a JSON object, e.g. CONF='{EXAMPLES[dag]}'")
    found = catalogue.problems(conf, OF_DAG[dag])
    if found:
        raise ConfigError("CONF:\n" + "\n".join(f"  {problem}" for problem in found))
    return conf


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; of two values of one name the last would win without a word."""
    names = [name for name, _ in pairs]
    twice = sorted({shown(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"given twice: {', '.join(twice)}")
    return dict(pairs)


def _one_snapshot(given: str, of_conf: str | None) -> str | None:
    problem = catalogue.RUN["snapshot"].kind.problem(given) if given else None
    if problem:
        raise ConfigError(f"SNAPSHOT={problem}; without SNAPSHOT it is the newest")
    days = {text for text in (given, of_conf) if text}
    if len(days) > 1:
        raise ConfigError(f"SNAPSHOT={given}, and CONF has the snapshot {of_conf}: expected one of the two")
    return days.pop() if days else None


def _check_there(day: str, dates: Sequence[str], of: str, more: str = "") -> None:
    if day in dates:
        return
    newest = ", ".join(dates[-SHOWN:]) or "none"
    before = f"{len(dates) - SHOWN} earlier ones, " if len(dates) > SHOWN else ""
    raise ConfigError(
        f"SNAPSHOT={day}: {of} have no snapshot of that date. There are: {before}{newest}{more}. "
        "Without SNAPSHOT it is the newest"
    )
