"""Stored documents: JSON that somebody else may have written, parsed within bounds and checked against a type.

Whatever is wrong with one ends in a DataError that names the object, every field that is wrong, and what to do.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from ..errors import DataError

SMALL_BYTES = 16 << 20
MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1
MAX_PROBLEMS = 5

Document = TypeVar("Document")

Count = Annotated[int, msgspec.Meta(ge=0)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
# Seconds since 1970 of the years 1900 to 2262, those of which numpy knows the nanoseconds.
Instant = Annotated[int, msgspec.Meta(ge=-(2**31), le=9_214_646_400)]


def parse_json(raw: bytes, where: str, remedy: str) -> Any:
    """A JSON value.

    Parameters
    ----------
    where : URI or path, for the message
    remedy : what to do about it, a sentence

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
    """Raise DataError where something that is read as a whole is larger than it ever is."""
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
    """Why a text is not an instant in ISO 8601 with its zone; None where it is one."""
    try:
        if datetime.fromisoformat(text).tzinfo is not None:
            return None
    except ValueError:
        pass
    return f"{name} is {ascii(text)[:80]}, expected a date and time in ISO 8601 with its zone"


def load_json(path: Path, remedy: str) -> Any:
    """The JSON value in a local file. Raises DataError, also where there is no such file."""
    try:
        size_bytes = path.stat().st_size
        check_small(size_bytes, str(path), remedy)
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file. {remedy}") from None
    return parse_json(raw, str(path), remedy)


def decode(raw: bytes, type_: type[Document], where: str, what: str, remedy: str, *, unknown: bool = False) -> Document:
    """A stored document of a type, a msgspec.Struct or a dataclass.

    Parameters
    ----------
    what : what it should be, such as "a tuned configuration"
    unknown : whether fields that the type does not have are passed over

    Raises
    ------
    DataError
        What `parse_json` and `checked` raise.
    """
    return checked(parse_json(raw, where, remedy), type_, where, what, remedy, unknown=unknown)


def checked(
    value: Any, type_: type[Document], where: str, what: str, remedy: str, *, unknown: bool = False
) -> Document:
    """A parsed JSON value as a document of a type. Raises DataError naming each field that is wrong."""
    problems = list(_problems(value, type_, unknown))
    if not problems:
        try:
            return msgspec.convert(value, type_)
        except msgspec.ValidationError as error:
            problems = [str(error)]
    more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
    raise DataError(f"{where}: not {what} ({'; '.join(problems[:MAX_PROBLEMS])}{more}). {remedy}")


def _problems(value: Any, type_: Any, unknown: bool) -> Iterator[str]:
    """What is wrong with each field of a document."""
    if not isinstance(value, dict):
        yield f"expected an object, got {type(value).__name__}"
        return
    hints = get_type_hints(type_, include_extras=True)
    known = {name: hints[name] for name in _field_names(type_)}
    if not unknown:
        yield from (f"{ascii(name)[:80]} is no field of it" for name in value if name not in known)
    for name, hint in known.items():
        if name in value:
            yield from _field_problems(name, value[name], hint)
        elif _is_required(type_, name):
            yield f"the field {name} is missing"


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
    """A dict is converted value by value, since msgspec does not name the key."""
    if get_origin(hint) is dict and isinstance(value, dict) and get_args(hint)[1] is not Any:
        for key, each in value.items():
            yield from _conversion_problem(f"{name}[{ascii(key)[:80]}]", each, get_args(hint)[1])
    else:
        yield from _conversion_problem(name, value, hint)


def _conversion_problem(name: str, value: Any, hint: Any) -> Iterator[str]:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        yield f"{name}: {error}"
