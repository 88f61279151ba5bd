"""The digest of the code that a stage runs: an artifact is reused only while that code is the same.

It covers only code that can change an output: no comments, docstrings, types, log lines or error texts.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parents[1]
PACKAGE = __name__.rsplit(".", 2)[0]
# Packages whose code computes outputs. The others store, show and name them.
COMPUTING = ("compiled", "prefetch", "ids", "data", "models", "evaluation", "stages", "tuning")
LOGGERS = frozenset({"log", "warnings"})

Plain = tuple[object, ...] | str


def code_of(module: str) -> str:
    """SHA-256, 64 hexadecimal digits, of the code of a module and of its imports from the computing packages.

    It depends neither on the version of Python nor on the order of imports. A stage's own module counts; of the other
    stages only those that it imports.

    Parameters
    ----------
    module : full name, such as `__name__`
    """
    return _digest(reachable(module))


def code_of_stages() -> str:
    """The digest of the code of all stages."""
    names = (f"{PACKAGE}.stages.{path.stem}" for path in (LIBRARY / "stages").glob("*.py"))
    return _digest(frozenset().union(*map(reachable, names)))


@cache
def reachable(name: str) -> frozenset[str]:
    """The module and all modules of the computing rooms that it imports, directly or not, by full name."""
    found, waiting = {name}, [name]
    while waiting:
        for other in _imports(waiting.pop()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return frozenset(found)


@cache
def _digest(names: frozenset[str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name.removeprefix(PACKAGE)}\0{_digest_of_one(name)}\0".encode())
    return digest.hexdigest()


@cache
def _digest_of_one(name: str) -> str:
    return hashlib.sha256(repr(_plain(_tree(name))).encode()).hexdigest()


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(_path(name).read_bytes())


def _path(name: str) -> Path:
    base = LIBRARY.joinpath(*name.removeprefix(f"{PACKAGE}.").split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@cache
def _imports(name: str) -> frozenset[str]:
    """Modules of the computing packages that a module imports, at its top or in a function."""
    found: set[str] = set()
    for node in _statements(_tree(name)):
        if isinstance(node, ast.ImportFrom):
            found.update(_named(name, node))
        elif isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
    return frozenset(filter(_computes, found))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below a node, and what holds statements; expressions, which are most nodes, hold none."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):
            yield child
            yield from _statements(child)


def _named(name: str, node: ast.ImportFrom) -> Iterator[str]:
    """`from a.b import c` names the module a.b, and a.b.c where that is a module."""
    package = name if _path(name).name == "__init__.py" else name.rpartition(".")[0]
    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    base = ".".join([*above, *filter(None, [node.module])])
    yield base
    yield from (f"{base}.{each.name}" for each in node.names)


def _computes(name: str) -> bool:
    room = name.removeprefix(f"{PACKAGE}.").split(".")[0]
    return name.startswith(f"{PACKAGE}.") and room in COMPUTING and _path(name).is_file()


def _plain(node: object) -> Plain:
    """A syntax tree as nested tuples of the parts that decide its result. Empty fields are omitted: newer Pythons
    add some."""
    if isinstance(node, list):
        return tuple(_plain(each) for each in node if not _is_text_only(each))
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Raise):
        return ("Raise", *_raised(node))
    fields = ((name, value) for name, value in ast.iter_fields(node) if not _is_noise(node, name, value))
    return (type(node).__name__, *((name, _plain(value)) for name, value in fields))


def _raised(node: ast.Raise) -> tuple[Plain, ...]:
    """The class of a raised error, without its text."""
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return () if raised is None else (_plain(raised),)


def _is_text_only(node: object) -> bool:
    """Whether a statement is a docstring or a log line."""
    if not isinstance(node, ast.Expr):
        return False
    if isinstance(node.value, ast.Constant):
        return True
    called = node.value.func if isinstance(node.value, ast.Call) else None
    return isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id in LOGGERS


def _is_noise(node: ast.AST, name: str, value: object) -> bool:
    if value is None and not isinstance(node, ast.Constant):
        return True
    typing = isinstance(node, (ast.arg, ast.FunctionDef, ast.AsyncFunctionDef)) and name in {"annotation", "returns"}
    return typing or value == [] or name in {"ctx", "kind", "type_comment", "type_ignores"}
