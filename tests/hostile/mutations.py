"""What an attacker, or a damaged disk, may put into a stored document."""

import copy
import json

TRAVERSALS = [
    "../../dags/evil.py",
    "/etc/cron.d/evil",
    "..",
    "a/../../b",
    "..\\..\\evil",
    "C:\\evil",
    "a\0b",
    "a\nb",
    "\x1b]0;evil\x07",
    ".hidden",
    "",
    "n" * 300,
]
VALUES = [*TRAVERSALS, -1, 2**62, 1e308, 0.5, True, None, [], {}, [[[]]], {"x": {"y": 1}}]
# Not even a document.
RAW = {
    "empty": b"",
    "cut": b'{"format": 1, "a',
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "half of a surrogate pair": b'{"a": "\\ud800"}',
    "deep lists": b"[" * 200_000 + b"]" * 200_000,
    "deep objects": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "a little too deep": b"[" * 100 + b"]" * 100,
    "a repeated key": b'{"format": 1, "format": 2}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "a float that overflows": b'{"a": 1e999}',
    "an integer that overflows": b'{"a": ' + b"9" * 400 + b"}",
    "an integer that nobody can convert": b'{"a": ' + b"9" * 10_000 + b"}",
    "a list": b"[1, 2]",
    "a text": b'"text"',
    "null": b"null",
    "17 MB": b'{"a": "' + b"x" * (17 << 20) + b'"}',
}


def paths(body, before=()):
    """The places in a JSON value, each a tuple of keys; of a list its first element only."""
    yield before
    rows = body.items() if isinstance(body, dict) else list(enumerate(body))[:1] if isinstance(body, list) else ()
    for key, value in rows:
        yield from paths(value, (*before, key))


def changed(body, path, value):
    """A copy with another value at a place."""
    if not path:
        return value
    body = copy.deepcopy(body)
    place = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return body


def mutations(body, per_place=None):
    """(what, raw) of a document with each place changed to each value, or to some of them; without it; with one more.

    Parameters
    ----------
    per_place : how many of the values each place gets; they take turns
    """
    turn = 0
    for path in paths(body):
        for number in range(len(VALUES) if per_place is None else per_place):
            value = VALUES[(turn + number) % len(VALUES)]
            yield f"{path} = {value!r:.40}", json.dumps(changed(body, path, value)).encode()
        turn += per_place or 0
        if path and isinstance(path[-1], str):
            less = changed(body, path, None)
            place = less
            for key in path[:-1]:
                place = place[key]
            del place[path[-1]]
            yield f"without {path}", json.dumps(less).encode()
    yield "with a field more", json.dumps({**body, "../../evil": 1}).encode()
