"""How `recommender_tune` searches, and what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .definition import MOST_COUNT, Search, Section, parameter, parameters_of
from .kinds import Number, OneText, Several, Whole
from .of_data import EncodeConfig
from .of_models import KnnConfig, ModelConfig, PriorConfig, TrainConfig

# Dynamic mapping cannot loop, so the DAG's rounds are written out; those not needed are skipped.
ROUNDS = 12
SPACE: Mapping[str, Search] = {
    each.name: each.search
    for section in (ModelConfig, TrainConfig, KnnConfig, EncodeConfig, PriorConfig)
    for each in parameters_of(section)
    if each.search
}
# Searched if `search` is empty: what a training does not choose itself, and `factors`, of which a search tries more and
# fewer than a training does. Not the family and the prior: each training chooses them again, and a search would freeze
# what suited the past. The weight of unverified purchases only where there are both kinds.
ALWAYS = ("factors", "alpha", "half_life_days")
WITH_BOTH_KINDS = "unverified_weight"
_LEVEL = Number(0.5, 0.999)


@dataclass(frozen=True, kw_only=True)
class TuneConfig(Section, key="tune", heading="Search"):
    """How a configuration is searched for."""

    search: tuple[str, ...] | None = parameter(
        None,
        Several(OneText({name: name for name in SPACE}), most=len(SPACE)),
        "Names of the parameters to search; the others keep the values of this run. Empty: "
        f"{', '.join(ALWAYS)}, and {WITH_BOTH_KINDS} if there are both kinds of purchases. Set it to search others.",
        title="Parameters to search",
    )
    trials: int = parameter(
        30,
        Whole(2, 500),
        "Number of configurations to try, including the defaults. Raise it for a more thorough search: finished trials "
        "are reused.",
    )
    trials_per_round: int = parameter(
        6,
        Whole(1, 64),
        "Number of configurations in a round. Lower it so that each configuration is chosen from more results; "
        f"{ROUNDS} rounds must be enough for all trials.",
    )
    splits: int = parameter(
        3,
        Whole(1, 12),
        "Number of split times inside train at which trials are judged; one more confirms the winner. Raise it for a "
        "more reliable choice; each split costs one fit a trial.",
    )
    min_coverage: float = parameter(
        0.5,
        Number(0.0, 1.0),
        "Least coverage of a winner, as a share of the defaults' coverage. Raise it if users must not see a smaller "
        "part of the catalogue.",
    )
    confirm_level: float = parameter(
        0.8,
        _LEVEL,
        "Confidence level of the confirmation split. Above 0.95 it also replaces the stand-alone level. Raise it to "
        "accept fewer winners by chance.",
    )
    level: float = parameter(
        0.9,
        _LEVEL,
        "Confidence level of early stopping: a trial stops if its interval against the best so far lies below 0. Lower "
        "it to stop more trials and save time.",
        name="pruning_level",
    )
    seed: int = parameter(
        5,
        Whole(0, MOST_COUNT),
        "Seed of the search. Change it to try other configurations.",
        name="search_seed",
    )

    def problem(self) -> str | None:
        """More trials than the rounds of the DAG can hold."""
        most = ROUNDS * self.trials_per_round
        if self.trials <= most:
            return None
        return (
            f"trials={self.trials}: expected at most {most} at trials_per_round={self.trials_per_round}, for the DAG "
            f"has {ROUNDS} rounds; raise that"
        )
