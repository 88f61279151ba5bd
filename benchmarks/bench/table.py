"""The table of `make bench`."""

from __future__ import annotations

from dataclasses import dataclass

from .._timing import Cost

HEADINGS = ("", "wall s", "CPU s", "peak GB", "reference", "wall s", "CPU s", "peak GB", "wall", "CPU", "aim")
RATIOS = "The last columns: seconds of the reference / seconds of ours, so more is better."


@dataclass(frozen=True, kw_only=True)
class Row:
    """A piece of ours, and what it is compared with.

    aim : what a ratio should reach at least, and of which seconds
    """

    name: str
    ours: Cost
    reference: str = ""
    theirs: Cost | None = None
    aim: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """As texts."""
        if self.theirs is None:
            return (self.name, *_cost(self.ours), self.reference, "", "", "", "", "", self.aim)
        ratios = (_ratio(self.theirs.wall_s, self.ours.wall_s), _ratio(self.theirs.cpu_s, self.ours.cpu_s))
        return (self.name, *_cost(self.ours), self.reference, *_cost(self.theirs), *ratios, self.aim)


def rendered(rows: list[Row]) -> str:
    """A Markdown table, aligned for the terminal."""
    cells = [HEADINGS, *(row.cells for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(HEADINGS))]
    left = {0, HEADINGS.index("reference"), len(HEADINGS) - 1}
    lines = [_line(line, widths, left) for line in cells]
    rule = "|".join(["", *("-" * (width + 1) + ("-" if at in left else ":") for at, width in enumerate(widths)), ""])
    return "\n".join([lines[0], rule, *lines[1:], "", RATIOS])


def _line(cells: tuple[str, ...], widths: list[int], left: set[int]) -> str:
    padded = [
        cell.ljust(width) if at in left else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def _cost(cost: Cost) -> tuple[str, str, str]:
    return f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", f"{cost.peak_bytes / 1e9:.2f}"


def _ratio(theirs: float, ours: float) -> str:
    return f"{theirs / ours:.2f}" if ours else ""
