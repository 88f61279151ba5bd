"""The files that somebody names on a command line: paths, folders and patterns, each file once, by its own name."""

from __future__ import annotations

import errno
import glob
import io
import os
import shlex
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from include.recommender.data.file_names import CSV_ENDINGS, ENDINGS, N_NAMED, ending, left_out, left_out_lines
from include.recommender.data.formats import HEAD_BYTES, foreign, likeness
from include.recommender.errors import ConfigError
from include.recommender.plain_text import shown

from .home import say

PATH_BYTES = 4096
KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, order=True)
class Given:
    """A file to read.

    path : absolute; a link stays the link
    name : its path within the folder or pattern that was given, else its own name; what messages call it
    """

    path: Path
    name: str


@dataclass
class Found:
    """What one path or pattern means: the files to read, and those of folders that are left out, by their names."""

    files: list[Given] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """Take over what was found elsewhere."""
        self.files += other.files
        self.left += other.left


def find(wanted: str, variable: str, endings: tuple[str, ...] = ENDINGS) -> list[Given]:
    """The files that a text means: paths, folders or patterns, separated by blanks.

    An existing path is that file, whatever characters it holds; only what does not exist is a pattern. A folder means
    all files in it and below that end as they should, but for names that begin with `_` or `.`.

    Raises
    ------
    ConfigError
        Something that matches no file, or none that ends as it should; a link that leads nowhere; what is no file.
    """
    every = Found()
    for word in words(wanted, variable):
        found = _meant(word, endings)
        if not found.files:
            raise ConfigError(f"{variable}={shown(word)}: {_why_none(word, found, endings)}")
        every.add(found)
    warn_left_out(every.left, endings)
    return once(every.files)


def words(text: str, variable: str) -> list[str]:
    """The paths and patterns in a text. Blanks and quotes in the name of an existing path need no quoting.

    Raises
    ------
    ConfigError
        The text is blank, or a quote in it is not closed.
    """
    if os.path.lexists(text):
        return [text]
    found, at = [], 0
    while text[at:].strip():
        if text[at].isspace():
            at += 1
            continue
        end = _end_of_path(text, at)
        word, at = (text[at:end], end) if end else _quoted(text, at, variable)
        found.append(word)
    if not found:
        raise ConfigError(f"{variable} is blank: expected one or more paths or patterns")
    return found


def _end_of_path(text: str, at: int) -> int | None:
    """Where the longest existing path ends that begins here and is followed by a blank; None if there is none."""
    last = min(len(text), at + PATH_BYTES)
    ends = [place for place in range(at + 1, last + 1) if place == len(text) or text[place].isspace()]
    return next((end for end in reversed(ends) if _existing(text[at:end])), None)


def _existing(word: str) -> str | None:
    """The word, or what `~` makes of it, where that is a path."""
    return next((path for path in (word, os.path.expanduser(word)) if os.path.lexists(path)), None)


def _quoted(text: str, at: int, variable: str) -> tuple[str, int]:
    """The word that begins here, by the shell's rules for quotes, and where the next one begins."""
    stream = io.StringIO(text[at:])
    lexer = shlex.shlex(stream, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        word = lexer.get_token()
    except ValueError:
        raise ConfigError(
            f"{variable}={shown(text)}: a quote is not closed, and no file of such a name exists (looked from "
            f"{shown(str(Path.cwd()))})"
        ) from None
    return word or "", at + stream.tell()


def _meant(word: str, endings: tuple[str, ...]) -> Found:
    path = _existing(word)
    if path is not None:
        return of_path(Path(path), endings)
    found, (base, rest) = Found(), _existing_part(Path(os.path.expanduser(word)))
    by_name = any(part.startswith(("_", ".")) for part in rest)
    for match in sorted(glob.glob(os.path.join(glob.escape(str(base)), *rest), recursive=True)):
        found.add(_matched(Path(match), base, by_name, endings))
    return found


def _existing_part(pattern: Path) -> tuple[Path, tuple[str, ...]]:
    """The folders that exist at the beginning of a pattern, which are none themselves, and the rest of it."""
    base, parts = Path(), pattern.parts
    for n, part in enumerate(parts):
        if not os.path.lexists(base / part):
            return base, parts[n:]
        base /= part
    return base, ()


def _matched(path: Path, base: Path, by_name: bool, endings: tuple[str, ...]) -> Found:
    """A match of a pattern, named by its path below the folder that the pattern begins with."""
    if _is_folder(path):
        name = "" if by_name else f"{path.relative_to(base)}/"
        if left_out(f"{name}x.json"):
            return Found(left=[name])
        inside = of_path(path, endings)
        return Found(
            [Given(file.path, str(Path(name, file.name))) for file in inside.files],
            [f"{name}{rest}" for rest in inside.left],
        )
    name = path.name if by_name else str(path.relative_to(base))
    if left_out(f"x{name}" if by_name else name, _local(endings)):
        return Found(left=[name])
    return Found([regular_file(path, name)])


def of_path(path: Path, endings: tuple[str, ...] = ENDINGS) -> Found:
    """The file, or the files of the folder, at an existing path.

    Raises
    ------
    ConfigError
        A link that leads nowhere, a pipe, a device, or what may not be read.
    """
    if _is_folder(path):
        return _below(path, path, endings, ())
    given = regular_file(path, path.name)
    # Whoever names a file means it, whatever its name begins with.
    return Found(left=[path.name]) if left_out(f"x{path.name}", _local(endings)) else Found([given])


def _local(endings: tuple[str, ...]) -> tuple[str, ...]:
    """A file here may end in .gz alone: its object gets a name that says more."""
    return (*endings, ".gz")


def _below(folder: Path, top: Path, endings: tuple[str, ...], above: tuple[tuple[int, int], ...]) -> Found:
    """All files below a folder; links to folders are followed, but for those that lead back up."""
    here, found = _identity(folder), Found()
    if here in above:
        say(f"{shown(str(folder))} leads back to a folder above it, and is left out", "reviews")
        return found
    for entry in _entries(folder):
        name = entry.relative_to(top).as_posix()
        if _is_folder(entry):
            if left_out(f"{entry.name}/x.json"):
                found.left.append(f"{name}/")
            else:
                found.add(_below(entry, top, endings, (*above, here)))
        elif left_out(name, _local(endings)):
            found.left.append(name)
        else:
            found.files.append(regular_file(entry, name))
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{shown(str(folder))}: cannot be listed: {error.strerror}") from error


def _is_folder(path: Path) -> bool:
    """Whether it is a folder; what cannot be looked at is none, and `regular_file` says why."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _identity(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_dev, about.st_ino


def regular_file(path: Path, name: str) -> Given:
    """A file that can be read. Raises ConfigError, with what it is instead."""
    where = shown(str(path))
    try:
        about = path.stat()
    except OSError as error:
        raise ConfigError(f"{where}: {_why_not(path, error)}") from error
    kind = next((what for test, what in KINDS if test(about.st_mode)), None)
    if kind:
        raise ConfigError(f"{where}: is {kind}, not a file. Write what comes from it to a file first.")
    if not _allows(path, os.R_OK):
        raise ConfigError(f"{where}: you may not read it. Change its permissions, e.g. chmod u+r.")
    return Given(path.parent.resolve() / path.name, name)


def _why_not(path: Path, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "is a link that leads back to itself. Bring the file."
    if path.is_symlink() and error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"is a link to {shown(os.readlink(path))}, which does not exist. Bring the file that it points to."
    return f"cannot be read: {error.strerror}. Change the permissions of the folders above it, or bring the file."


def once(files: Sequence[Given]) -> list[Given]:
    """Each file once, however often and under whatever links it is given; says which were given again."""
    by_identity: dict[tuple[int, int], list[Given]] = {}
    for file in files:
        by_identity.setdefault(_identity(file.path), []).append(file)
    kept = []
    for same in by_identity.values():
        # Not the first one given: the order of the words must not matter. A longer name says more of where it lies.
        first = min(same, key=lambda file: (str(file.path), -len(file.name), file.name))
        kept.append(first)
        others = sorted({str(file.path) for file in same} - {str(first.path)})
        if others:
            say(f"{_listed(others)}: the same file as {shown(str(first.path))}, read once", "reviews")
        elif len(same) > 1:
            say(f"{shown(str(first.path))} is given {len(same)} times, read once", "reviews")
    return kept


def warn_left_out(left: Iterable[str], endings: tuple[str, ...] = ENDINGS) -> None:
    """Name the files of folders that are not read, and why."""
    for line in left_out_lines(set(left), _local(endings)):
        say(f"WARNING: left out: {line}", "reviews")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - N_NAMED
    return ", ".join(map(shown, names[:N_NAMED])) + (f" and {more:,} more" if more > 0 else "")


def _why_none(word: str, found: Found, endings: tuple[str, ...]) -> str:
    expected = f"Expected paths or patterns of files with one JSON review a line, ending in {', '.join(endings)} or .gz"
    if "://" in word:
        return (
            "is an address, and not a path. Download the files first; or let a deployment read the bucket: "
            "RECOMMENDER_SNAPSHOTS, docs/operations.md"
        )
    closed = _closed_folder(Path(os.path.expanduser(word)))
    if closed is not None:
        return f"cannot be looked for: you may not search {shown(str(closed))}. Change its permissions, e.g. chmod u+x"
    if not found.left:
        empty = "is a folder without files" if _existing(word) else "matches no file"
        return f"{empty} (looked from {shown(str(Path.cwd()))}; quote a pattern with blanks in it). {expected}"
    path = _existing(word)
    if path is not None and os.path.isfile(path):
        return f"matches 1 file(s), none of which is a review file. {' '.join(_looks_like(Path(path), endings))}"
    listed = "; ".join(left_out_lines(found.left, _local(endings)))
    return f"matches {len(found.left)} file(s), none of which is a review file: {listed}. {expected}"


def _closed_folder(path: Path) -> Path | None:
    """The first folder above a path that this user may not search; what lies in it looks as if it were not there."""
    return next((each for each in reversed(path.parents) if _is_folder(each) and not _allows(each, os.X_OK)), None)


def _allows(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _looks_like(path: Path, endings: tuple[str, ...]) -> Iterator[str]:
    """Why a file with another ending is not taken, by its name and by how it begins."""
    yield f"{'; '.join(left_out_lines([path.name], _local(endings)))}."
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    what = foreign(head)
    if what:
        yield f"It {what}"
    elif head.lstrip().startswith(b"{"):
        yield "If it holds reviews, rename it."
    elif head and not ending(path.name, CSV_ENDINGS):
        yield likeness(head)
