"""What a check found, and how checks are run: one after the other, each on its own, none of them fatal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from ...errors import RecommenderError
from ...storage.redaction import printable


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "FAILED"
    UNCHECKED = "not checked"


@dataclass(frozen=True, kw_only=True)
class DoctorFinding:
    """What one check saw, what was expected there, and the fix: a command, or a sentence."""

    state: State
    seen: str
    expected: str = ""
    fix: str = ""


def fine(seen: str) -> DoctorFinding:
    """Nothing to do."""
    return DoctorFinding(state=State.OK, seen=seen)


def warning(seen: str, expected: str, fix: str) -> DoctorFinding:
    """Runs go on, and a person should look."""
    return DoctorFinding(state=State.WARNING, seen=seen, expected=expected, fix=fix)


def failed(seen: str, expected: str, fix: str) -> DoctorFinding:
    """Something does not work."""
    return DoctorFinding(state=State.FAILED, seen=seen, expected=expected, fix=fix)


def unchecked(why: str, fix: str = "") -> DoctorFinding:
    """Nothing is known."""
    return DoctorFinding(state=State.UNCHECKED, seen=why, fix=fix)


Subject = TypeVar("Subject")


@dataclass(frozen=True)
class DoctorCheck(Generic[Subject]):
    """A check by its name.

    needs : names of checks before it without which it would only repeat their failure
    expected, fix : of an error that is raised, whose text says what and where
    """

    group: str
    name: str
    run: Callable[[Subject], DoctorFinding]
    needs: tuple[str, ...] = ()
    expected: str = ""
    fix: str = "Do what the message says, then run doctor again."


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report; `--json` prints a list of them."""

    group: str
    name: str
    state: State
    seen: str
    expected: str
    fix: str
    seconds: float


def examine(checks: Iterable[DoctorCheck[Subject]], subject: Subject) -> Iterator[Result]:
    """Run the checks in their order; yield each result as soon as it is there."""
    usable: set[str] = set()
    for check in checks:
        began = time.monotonic()
        lacking = [name for name in check.needs if name not in usable]
        finding = unchecked(f"it needs: {', '.join(lacking)}") if lacking else _finding(check, subject)
        if finding.state in (State.OK, State.WARNING):
            usable.add(check.name)
        yield Result(
            group=check.group,
            name=check.name,
            state=finding.state,
            seen=finding.seen,
            expected=finding.expected,
            fix=finding.fix,
            seconds=round(time.monotonic() - began, 3),
        )


def _finding(check: DoctorCheck[Subject], subject: Subject) -> DoctorFinding:
    """Any error is a finding, and the next checks go on."""
    try:
        return check.run(subject)
    except RecommenderError as error:
        return failed(str(error), check.expected, check.fix)
    except Exception as error:  # noqa: BLE001 a check that breaks must not hide the others
        return failed(
            f"the check itself broke: {type(error).__name__}: {printable(error)}",
            "an answer of one kind or the other",
            "Report it with the output of `doctor --json`.",
        )


def summary(results: Sequence[Result]) -> str:
    """The counts of the states, as the last line."""
    counts = {state: sum(row.state is state for row in results) for state in State}
    warnings = f"{counts[State.WARNING]} warning{'' if counts[State.WARNING] == 1 else 's'}"
    return (
        f"{len(results)} checks: {counts[State.OK]} ok, {warnings}, {counts[State.FAILED]} FAILED, "
        f"{counts[State.UNCHECKED]} not checked"
    )


def lines(result: Result, before: Result | None) -> Iterator[str]:
    """A result as text; the group is printed above its first check."""
    if before is None or before.group != result.group:
        yield f"\n{result.group}" if before else result.group
    for number, text in enumerate(result.seen.split("\n")):
        yield f"  {result.state:<12}{result.name:<24}{text}" if number == 0 else f"{'':38}{text}"
    if result.expected:
        yield f"{'':14}expected: {result.expected}"
    if result.fix:
        yield f"{'':14}fix: {result.fix}"
