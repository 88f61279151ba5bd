"""What can go wrong, and who can fix it.

RecommenderError
├── DataError        the input or a stored object is wrong: never retried
│   └── NotFound     an object, snapshot or artifact that should exist does not
├── ConfigError      a parameter or setting is wrong: all problems at once, before any work
├── TransientError   the store or network failed for now: retried with backoff
├── PreconditionFailed   a conditional write lost: somebody else wrote first
└── GateRejected     the gate said HOLD or REJECT: a result, never retried

A message says what was wrong, where, what was expected, and what to do.
"""

from __future__ import annotations


class RecommenderError(Exception):
    """Base of every error that this library raises on purpose."""


class DataError(RecommenderError):
    """The input, or something stored, is wrong. Trying again cannot help."""


class NotFound(DataError):
    """Something that should be in the store is not there."""


class ConfigError(RecommenderError):
    """One or more settings are wrong; the message lists every problem."""

    def __init__(self, problems: str | list[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class TransientError(RecommenderError):
    """A passing fault of the store or the network. Try again."""


class PreconditionFailed(RecommenderError):
    """A conditional write lost against another writer, or the object exists already."""


class GateRejected(RecommenderError):
    """The verdict is HOLD or REJECT; the message is one line, the table is in the log and in the report."""
