"""The definition of a parameter: a field of a section, the frozen dataclass that a stage gets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar

from ..errors import ConfigError, DataError
from .kinds import Kind, Schema
from .shown import shown_value

# A century: older than any review, and ages stay far within a float.
MOST_DAYS = 36_500
MOST_COUNT = 2**31 - 1
REMEDY = "Another version of this code wrote it: take a model that this version made."

# Of a parameter as JSON: what stored documents hold.
ParameterValue = bool | int | float | str | list[int | float | str] | None

Value = TypeVar("Value")


@dataclass(frozen=True)
class Range:
    """The range of a search, inclusive; `log` searches the logarithm uniformly."""

    low: float
    high: float
    log: bool = False

    def holds(self, value: ParameterValue) -> bool:
        """Whether a value lies in the range."""
        return isinstance(value, (int, float)) and self.low <= value <= self.high


@dataclass(frozen=True)
class OneOf:
    """The values of a search that have no order."""

    values: tuple[str, ...]

    def holds(self, value: ParameterValue) -> bool:
        """Whether it is one of them."""
        return value in self.values


Search = Range | OneOf


def parameter(
    default: Value, kind: Kind, text: str, *, name: str = "", title: str = "", search: Search | None = None
) -> Value:
    """The field of a section that is a parameter.

    Parameters
    ----------
    default : None makes the parameter optional
    text : its effect, and when to change it
    name : name for users, if the name of the field would not be unique
    title : title of the field in the form; empty: made of the name
    search : what `recommender_tune` tries; None: not searched
    """
    about = {"kind": kind, "text": text, "name": name, "title": title, "search": search}
    return field(default=default, metadata=about)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a DAG or of a command line.

    section, field : place of its value in the configuration
    heading : title of its section
    """

    section: str
    heading: str
    field: str
    name: str
    title: str
    default: Any
    kind: Kind
    text: str
    search: Search | None

    @property
    def plain_default(self) -> Any:
        """The default as a JSON value."""
        return list(self.default) if isinstance(self.default, tuple) else self.default

    def problem(self, value: object) -> str | None:
        """The problem of a value: parameter, given value, expected values; None if it is allowed."""
        problem = None if value is None and self.default is None else self.kind.problem(value)
        return f"{self.name}={problem}" if problem else None

    def read(self, value: Any) -> Any:
        """Convert an allowed value to the type of the field."""
        return None if value is None else self.kind.read(value)

    def schema(self) -> Schema:
        """JSON schema (draft 7) of the value, with the keys for Airflow's form."""
        schema = self.kind.schema()
        if self.default is None:
            schema["type"] = ["null", schema["type"]]
        return {**schema, "title": self.title, "section": self.heading}


class Section:
    """Parameters that belong together. A subclass is a frozen dataclass whose fields are made by `parameter`."""

    KEY: ClassVar[str]
    HEADING: ClassVar[str]

    def __init_subclass__(cls, *, key: str, heading: str) -> None:
        cls.KEY, cls.HEADING = key, heading

    def problem(self) -> str | None:
        """The problem of the combination of values; None if there is none."""
        return None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Build the section from values by parameter name; missing ones keep their defaults.

        Raises
        ------
        ConfigError
            The message lists every value that is not allowed.
        """
        known = [each for each in parameters_of(cls) if each.name in given]
        problems = [problem for each in known if (problem := each.problem(given[each.name]))]
        if problems:
            raise ConfigError(problems)
        found = cls(**{each.field: each.read(given[each.name]) for each in known})
        problem = found.problem()
        if problem:
            raise ConfigError(problem)
        return found

    @classmethod
    def stored(cls, body: Any, where: str) -> Self:
        """Build the section from its stored form, the object of `dataclasses.asdict`, which must be complete.

        Raises
        ------
        DataError
            The message lists every field that is missing, unknown or not allowed.
        """
        if not isinstance(body, Mapping):
            raise DataError(f"{where}: {cls.KEY}={shown_value(body)}: expected an object. {REMEDY}")
        known = {each.field: each for each in parameters_of(cls)}
        problems = [f"{cls.KEY}.{name} is missing" for name in known if name not in body]
        problems += [f"{cls.KEY}: {shown_value(name)} is unknown" for name in body if name not in known]
        given = {known[name].name: value for name, value in body.items() if name in known}
        try:
            found = cls.read(given)
        except ConfigError as error:
            problems += error.problems
        if problems:
            raise DataError(f"{where}: {'; '.join(problems)}. {REMEDY}")
        return found


def parameters_of(section: type[Section]) -> tuple[Parameter, ...]:
    """The parameters of a section, in the order of its fields."""
    return tuple(_defined(section, each) for each in dataclasses.fields(section))  # type: ignore[arg-type]


def _defined(section: type[Section], item: dataclasses.Field[Any]) -> Parameter:
    about = dict(item.metadata)
    about["name"] = about["name"] or item.name
    about["title"] = about["title"] or about["name"].replace("_", " ").capitalize()
    return Parameter(section=section.KEY, heading=section.HEADING, field=item.name, default=item.default, **about)
