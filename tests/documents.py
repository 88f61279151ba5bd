"""Whole stored documents, of which tests change what they are about."""

import msgspec

from include.recommender.config import GateConfig, RetrainConfig
from include.recommender.data.counts import ByLayout, Ends, FoldCounts, ParseCounts
from include.recommender.models.choice import Choice
from include.recommender.registry.verdict import Interval, Verdict
from include.recommender.storage.documents import plain
from include.recommender.tuning.records import Evidence, Plan, SearchOutcome

ABOVE = Interval(0.05, 0.01, 0.09)
CHOICE = Choice.of(RetrainConfig())


def changed(document, **fields):
    """A copy with other fields, which are converted: what the type does not allow raises."""
    return msgspec.convert({**plain(document), **plain(fields)}, type(document))


def verdict(**fields):
    """A promotion judged against all-time popularity alone."""
    base = Verdict(
        decision="PROMOTE",
        reasons=["better than popularity_all_time at 95% confidence"],
        n_users=3,
        top_k=10,
        baseline="popularity_all_time",
        candidate_recall=0.25,
        baseline_recall=0.2,
        relative_lift=0.25,
        against_popularity=ABOVE,
        champion_recall=None,
        against_champion=None,
        reference=None,
        reference_recall=None,
        against_reference=None,
        reference_level=None,
        thresholds=GateConfig(),
        intervals={"popularity_all_time": ABOVE},
    )
    return changed(base, **fields)


def fold_counts(**fields):
    """A fold of three interactions before the split time and one after it."""
    zeros = dict.fromkeys(FoldCounts.__struct_fields__, 0)
    sizes = {"reviews": 4, "interactions": 4, "train": 3, "train_users": 2, "train_items": 4, "holdout": 1}
    return msgspec.convert({**zeros, **sizes, "density": 0.375, "split_s": 1_530_000_000, **fields}, FoldCounts)


def parse_counts(**fields):
    """Nine reviews in ten lines."""
    base = ParseCounts(
        lines=10,
        blank=0,
        bad=1,
        reviews=9,
        users=3,
        items=4,
        first_s=1,
        last_s=2,
        verified=9,
        unverified=0,
        verified_unknown=0,
        ratings={"5.0": 9},
        files=1,
        newest_s=2,
        quarantined=1,
        years={"1970": 9},
        ends=Ends(first_s=None, last_s=None, deep_first_s=None, deep_last_s=None),
        layouts={"2018": 9},
        layout_files={"2018": ["a"]},
        reasons={"not JSON": 1},
        users_by_layout=ByLayout(3, 0, 0),
    )
    return changed(base, **fields)


def choice(**fields):
    """The outcome of a search whose second trial is better."""
    base = SearchOutcome(
        trials=2,
        number=1,
        values={"alpha": 90.0},
        better=True,
        too_narrow=False,
        searched=ABOVE,
        confirmed=ABOVE,
        alone=ABOVE,
        alone_level=0.95,
        by_split=[ABOVE],
        default_recall=0.1,
        best_recall=0.15,
        confirmed_default=0.11,
        confirmed_best=0.12,
        searched_users=1234,
        confirmed_users=456,
        confirmed_covers=(0.21, 0.25),
        confirmed_choices=(CHOICE, CHOICE),
    )
    return changed(base, **fields)


def evidence(split_s=1, run="manual__1", **fields):
    """What speaks for that trial."""
    plan = Plan(
        names=["alpha"],
        defaults={"alpha": 40.0},
        folds=["s3://b/1"],
        confirm="s3://b/2",
        split_s=split_s,
        holdouts=[(0, split_s), (0, split_s)],
    )
    base = Evidence(choice=choice(), plan=plan, top_k=10, snapshot="2018-09-01", parsed="s3://b/p", run=run)
    return changed(base, **fields)
