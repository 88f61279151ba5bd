"""Stored documents: untrusted JSON, parsed within bounds and checked against a type.

Every fault becomes a DataError that names the object, every wrong field, and the fix.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from ..errors import DataError

SMALL_BYTES = 16 << 20
MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1
MAX_PROBLEMS = 5

Document = TypeVar("Document")

# Bounds that documents share.
Count = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Day = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
ModelId = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")]
TopK = Annotated[int, msgspec.Meta(ge=1)]
Decision = Literal["PROMOTE", "HOLD", "REJECT"]
# Seconds since 1970 of the years 1900 to 2262, those of which numpy knows the nanoseconds.
EpochSeconds = Annotated[int, msgspec.Meta(ge=-(2**31), le=9_214_646_400)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


def parse_json(raw: bytes, where: str, remedy: str) -> Any:
    """Parse a JSON value.

    Parameters
    ----------
    where : URI or path, for the message
    remedy : the fix, a sentence

    Raises
    ------
    DataError
        It is larger than `SMALL_BYTES`, not JSON in UTF-8, nested deeper than `MAX_DEPTH`, or holds a repeated key,
        NaN, an infinite number, an integer beyond 64 bits, or half of a surrogate pair.
    """
    check_small(len(raw), where, remedy)
    try:
        value = json.loads(
            raw.decode(), object_pairs_hook=_without_repeats, parse_constant=_refuse_constant, parse_float=_finite
        )
        _check_values(value)
    except RecursionError:
        raise DataError(f"{where}: not JSON of this project (nested too deeply). {remedy}") from None
    except ValueError as error:
        raise DataError(f"{where}: not JSON of this project ({error}). {remedy}") from error
    return value


def check_small(size_bytes: int, where: str, remedy: str) -> None:
    """Raise DataError if an object that is read as a whole is larger than SMALL_BYTES."""
    if size_bytes > SMALL_BYTES:
        raise DataError(
            f"{where}: {size_bytes:,} bytes, expected at most {SMALL_BYTES:,}. Something else than this project wrote "
            f"it. {remedy}"
        )


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {ascii(repeated)[:80]} is there twice")
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _check_values(value: Any) -> None:
    """Depth, integers and texts; without recursion, since the depth is what is in question."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += [*each.keys(), *each.values()]
            elif isinstance(each, list):
                below += each
            elif isinstance(each, str):
                if not each.isascii():
                    each.encode()  # raises UnicodeEncodeError for half of a surrogate pair
            elif isinstance(each, int) and abs(each) > MAX_INTEGER:
                raise ValueError("an integer beyond 64 bits")
        level, depth = below, depth + 1


def instant_problem(name: str, text: str) -> str | None:
    """Return why a text is not an instant in ISO 8601 with its zone; None if it is."""
    try:
        if datetime.fromisoformat(text).tzinfo is not None:
            return None
    except ValueError:
        pass
    return f"{name} is {ascii(text)[:80]}, expected a date and time in ISO 8601 with its zone"


def load_json(path: Path, remedy: str) -> Any:
    """The JSON value in a local file. Raises DataError, also if there is no such file."""
    try:
        size_bytes = path.stat().st_size
        check_small(size_bytes, str(path), remedy)
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file. {remedy}") from None
    return parse_json(raw, str(path), remedy)


@dataclass(frozen=True)
class Origin:
    """The parts of a message about a document, besides the fault.

    where : URI or path
    what : what it should be, such as "a tuned configuration"
    remedy : the fix, a sentence
    """

    where: str
    what: str
    remedy: str

    def refusal(self, problems: Sequence[str]) -> DataError:
        """An error that names the first `MAX_PROBLEMS` of the problems."""
        more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
        return DataError(f"{self.where}: not {self.what} ({'; '.join(problems[:MAX_PROBLEMS])}{more}). {self.remedy}")


def decode(raw: bytes, type_: type[Document], origin: Origin) -> Document:
    """Decode a stored document of a type. Raises DataError as `parse_json` and `checked` do."""
    return checked(parse_json(raw, origin.where, origin.remedy), type_, origin)


def checked(value: Any, type_: type[Document], origin: Origin) -> Document:
    """Convert a parsed JSON value into a document of a type, a msgspec.Struct or a dataclass.

    Unknown fields are refused, except by a Struct that does not forbid them: it reads a part of the document.

    Raises
    ------
    DataError
        The message names each wrong field with its path and the expected value.
    """
    problems = list(_problems(value, type_))
    if not problems:
        try:
            return msgspec.convert(value, type_)
        except msgspec.ValidationError as error:
            problems = [_fault("", error)]
    raise origin.refusal(problems)


def plain(document: Any) -> Any:
    """A document as JSON values, in the order of its fields."""
    return msgspec.to_builtins(document, enc_hook=_number)


def _number(value: object) -> float:
    """Convert numpy's numbers, which msgspec does not encode."""
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON")


def to_json(document: Any) -> bytes:
    """JSON of a document; the same document gives the same bytes. Raises DataError on NaN and infinite numbers."""
    try:
        return json.dumps(plain(document), indent=1, sort_keys=True, allow_nan=False).encode()
    except ValueError as error:
        raise DataError(f"{type(document).__name__}: holds a number that JSON cannot keep ({error})") from error


def _problems(value: Any, type_: Any) -> Iterator[str]:
    """Return the problems of the fields of a document; none for another type."""
    if not hasattr(type_, "__struct_config__") and not dataclasses.is_dataclass(type_):
        return
    if not isinstance(value, dict):
        yield f"expected an object, got {type(value).__name__}"
        return
    hints = get_type_hints(type_, include_extras=True)
    known = {name: hints[name] for name in _field_names(type_)}
    if _forbids_unknown(type_):
        yield from (f"{ascii(name)[:80]} is no field of it" for name in value if name not in known)
    for name, hint in known.items():
        if name in value:
            yield from _field_problems(name, value[name], hint)
    yield from (f"the field {name} is missing" for name in known if name not in value and _is_required(type_, name))


def _forbids_unknown(type_: Any) -> bool:
    return dataclasses.is_dataclass(type_) or bool(type_.__struct_config__.forbid_unknown_fields)


def _field_names(type_: Any) -> list[str]:
    if dataclasses.is_dataclass(type_):
        return [field.name for field in dataclasses.fields(type_)]
    return [field.name for field in msgspec.structs.fields(type_)]


def _is_required(type_: Any, name: str) -> bool:
    if dataclasses.is_dataclass(type_):
        field = type_.__dataclass_fields__[name]
        return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return next(field.required for field in msgspec.structs.fields(type_) if field.name == name)


def _field_problems(name: str, value: Any, hint: Any) -> Iterator[str]:
    """Return the problems of one field; a dict is converted value by value, since msgspec does not name the key."""
    if get_origin(hint) is dict and isinstance(value, dict) and get_args(hint)[1] is not Any:
        for key, each in value.items():
            yield from _conversion_problem(f"{name}[{ascii(key)[:80]}]", each, get_args(hint)[1])
    else:
        yield from _conversion_problem(name, value, hint)


def _conversion_problem(name: str, value: Any, hint: Any) -> Iterator[str]:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        yield _fault(name, error)


def _fault(name: str, error: msgspec.ValidationError) -> str:
    """Return the message of msgspec with the path in front, instead of " - at `$.path`" at its end."""
    text, _, path = str(error).partition(" - at `$")
    place = f"{name}{path.removesuffix('`')}".lstrip(".")
    return f"{place}: {text}" if place else text
