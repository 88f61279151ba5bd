"""The counts that stages read from each other's manifests, from the snapshot to the fold. A stage may store more."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ..storage.documents import Count, Day, EpochSeconds, Share

Year = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}\Z")]


class SnapshotCounts(msgspec.Struct, frozen=True):
    """Counts of resolve_snapshot: the snapshot's date and its size."""

    snapshot: Day
    files: Count
    bytes: Count


class DownloadCounts(msgspec.Struct, frozen=True):
    """Counts of download_reviews."""

    files: Count
    bytes: Count


class Ends(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Oldest and newest review without the few outermost, and without more of them (deep); see `times.ends`."""

    first_s: EpochSeconds | None
    last_s: EpochSeconds | None
    deep_first_s: EpochSeconds | None
    deep_last_s: EpochSeconds | None

    def __post_init__(self) -> None:
        if (self.deep_first_s is None) != (self.deep_last_s is None) or (self.first_s is None) != (self.last_s is None):
            raise ValueError("ends: expected both ends or none")


class ByLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Number of users with reviews in the layouts of 2014 and 2018, in that of 2023, and in both."""

    older: Count
    newer: Count
    both: Count


class ParseCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of parse_reviews: lines, reviews, and the values that the next snapshot is compared with.

    lines = blank + bad + reviews. reasons : why lines were bad; layout_files : the first files of each layout
    newest_s : time of the newest review, without outliers
    """

    lines: Count
    blank: Count
    bad: Count
    reviews: Annotated[int, msgspec.Meta(ge=1)]
    users: Count
    items: Count
    first_s: EpochSeconds
    last_s: EpochSeconds
    verified: Count
    unverified: Count
    verified_unknown: Count
    ratings: dict[str, Count]
    files: Count
    newest_s: EpochSeconds
    quarantined: Count
    years: dict[Year, Count]
    ends: Ends
    layouts: dict[str, Count]
    layout_files: dict[str, list[str]]
    reasons: dict[str, Count]
    users_by_layout: ByLayout

    def __post_init__(self) -> None:
        if not any(self.ratings.values()):
            raise ValueError("ratings: counts no review")

    @property
    def filled(self) -> int:
        """Lines that are not blank, at least 1."""
        return max(1, self.lines - self.blank)

    @property
    def bad_share(self) -> float:
        """Share of bad lines among the lines that are not blank."""
        return self.bad / self.filled

    @property
    def verified_known(self) -> int:
        """Number of reviews whose layout has a verified flag."""
        return self.verified + self.unverified


class FoldCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of encode_interactions: the instants of the fold, in seconds, and its sizes.

    train_single_users : train users with one interaction
    density : train interactions over the cells of the matrix
    """

    reviews: Count
    after_as_of: Count
    repeated: Count
    interactions: Count
    first_s: EpochSeconds
    last_s: EpochSeconds
    split_s: EpochSeconds
    train: Count
    train_users: Count
    train_single_users: Count
    train_items: Count
    train_dropped_rare: Count
    filter_rounds: Count
    density: Share
    verified: Count
    unverified: Count
    verified_unknown: Count
    holdout: Count
    holdout_users: Count
    holdout_items: Count
    cold_users: Count
    cold_items: Count
    holdout_of_cold_users: Count
    holdout_on_cold_items: Count
    judged_users: Count
    judged_interactions: Count
    judged_on_cold_items: Count
