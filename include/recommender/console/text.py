"""What the registry's commands print for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ..parameters import RETRAIN
from ..plain_text import shown
from ..registry.bundle import Manifest
from ..registry.comparison import Pair, VersionComparison, split_time_of
from ..registry.listing import Summary
from ..registry.moves import Move, instant, one_line
from ..registry.retention import Retirement, RetirementCandidate
from ..registry.verification import Verification

NONE = "-"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], right: Iterable[int] = ()) -> str:
    """Aligned columns, two spaces between them; `right` holds the positions of columns of numbers."""
    cells = [[shown(str(cell)) for cell in head], *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    flush = set(right)

    def line(row: list[str]) -> str:
        padded = (
            cell.rjust(width) if column in flush else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return "\n".join(line(row) for row in cells)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return NONE
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else shown(one_line(str(value)))


def minute(when: str | None) -> str | None:
    """An instant to the minute, UTC."""
    return instant(when).strftime("%Y-%m-%d %H:%M") if when else None


def second(when: str) -> str:
    """A `Move.moved_at` to the second, UTC."""
    return datetime.fromisoformat(when).strftime("%Y-%m-%d %H:%M:%S")


def size(size_bytes: int | None) -> str | None:
    """Thousands or millions of bytes."""
    if size_bytes is None:
        return None
    return f"{size_bytes / 1e3:.1f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:,.1f} MB"


def lift(value: float | None) -> str | None:
    """A relative lift in percent."""
    return None if value is None else f"{value:+.1%}"


def versions(rows: Sequence[Summary], where: str) -> str:
    """`list`; `where` is the URI below which versions are looked for."""
    if not rows:
        return f"No versions yet below {where}"
    ks = {row.top_k for row in rows if row.top_k}
    recall = f"RECALL@{ks.pop()}" if len(ks) == 1 else "RECALL@K"
    head = ["MODEL", "CREATED (UTC)", "KNOWS UNTIL (UTC)", "SNAPSHOT", "VERDICT", recall, "POPULARITY", "LIFT", "SIZE"]
    body = [
        [
            *(row.model_id, minute(row.created_at), minute(row.known_until), row.snapshot, row.verdict, row.recall),
            *(row.baseline_recall, lift(row.relative_lift), size(row.size_bytes)),
            *("yes" if row.recommendations else None, _pointed(row.channels)),
        ]
        for row in rows
    ]
    problems = [f"\n{row.model_id}: {row.problem}" for row in rows if row.problem]
    return "\n".join([table([*head, "LISTS", "CHANNELS"], body, right=(5, 6, 7, 8)), *problems])


def _pointed(channels: Sequence[str]) -> str:
    return f"<- {', '.join(channels)}" if channels else ""


def moves(rows: Sequence[Move]) -> str:
    """`history`: in the order given."""
    head = ["#", "WHEN (UTC)", "KIND", "FROM", "TO", "VERDICT", "WHO", "WHY", "RUN"]
    body = [
        [
            *(row.number, second(row.moved_at), row.kind, row.from_model, row.to_model),
            *(row.verdict, row.who, row.why, row.run),
        ]
        for row in rows
    ]
    return table(head, body, right=(0,))


def version(
    summary: Summary, manifest: Manifest, counts: dict[str, int], about: dict[str, str], latest: Sequence[Move]
) -> str:
    """`show`."""
    verdict = manifest.verdict
    facts = {
        "model": summary.model_id,
        **about,
        "channels": ", ".join(summary.channels),
        "recommendations": ", ".join(summary.recommendations),
        "created_at": manifest.created_at.isoformat(timespec="seconds"),
        "known_until": manifest.known_until.isoformat(),
        "as_of": manifest.as_of.isoformat(),
        "snapshot": manifest.snapshot,
        "split time": split_time_of(manifest),
        "chosen model": manifest.choice.text,
        "tuned": manifest.tuned,
        **counts,
        "size": size(summary.size_bytes),
        "run": manifest.run,
        "code": manifest.code_version,
        "libraries": ", ".join(f"{name} {number}" for name, number in manifest.libraries.items()),
        "verdict": f"{verdict.decision}: {'; '.join(verdict.reasons)}",
        "forced": verdict.forced,
    }
    width = max(map(len, facts))
    lines = [f"{name:<{width}}  {_cell(value)}" for name, value in facts.items() if value not in (None, "")]
    metrics = manifest.metrics
    columns = [name for name in metrics["candidate"] if name.endswith(f"@{verdict.top_k}")]
    ordered = sorted(metrics, key=lambda name: -metrics[name].get(f"recall@{verdict.top_k}", 0.0))
    starred = {verdict.baseline: f"{verdict.baseline} *"}
    body = [[starred.get(name, name), *(metrics[name].get(column) for column in columns)] for name in ordered]
    parameters = {(each.section, each.field): name for name, each in RETRAIN.items()}
    config = [
        f"{section}: " + ", ".join(f"{parameters.get((section, field), field)}={v}" for field, v in values.items())
        for section, values in manifest.config.items()
        if values
    ]
    parts = [
        "\n".join(lines),
        table(["MODEL", *columns], body, right=range(1, len(columns) + 1)),
        "\n".join(["As configured; what was chosen is above:", *config]),
    ]
    return "\n\n".join([*parts, moves(latest)] if latest else parts)


def comparison(found: VersionComparison) -> str:
    """`compare`."""
    items = found.items
    share = items.both / max(1, items.a + items.b - items.both)
    parts = [
        _pairs(["", found.a, found.b], found.facts),
        _metrics(found),
        _pairs(["CONFIGURATION", "A", "B"], found.config) if found.config else "The configurations are the same.",
        _pairs(["LIBRARY", "A", "B"], found.libraries) if found.libraries else "",
        f"Items: {items.both:,} in both, {items.a - items.both:,} only in A, {items.b - items.both:,} only in B "
        f"(overlap {share:.1%} of all)",
        *(f"WARNING: {warning}" for warning in found.warnings),
    ]
    return "\n\n".join(filter(None, parts))


def _pairs(head: list[str], pairs: dict[str, Pair]) -> str:
    return table(head, ([name, *pair] for name, pair in pairs.items()), right=range(1, len(head)))


def _metrics(found: VersionComparison) -> str:
    """Those at the K that the gates decided on; the JSON has all."""
    head = ["METRIC", "A", "B", "B - A", "POPULARITY A", "POPULARITY B"]
    rows: list[list[Any]] = []
    for name, (a, b) in found.metrics.items():
        if name.endswith(tuple(f"@{k}" for k in found.top_k)):
            difference = None if a is None or b is None else f"{b - a:+.4f}"
            rows.append([name, a, b, difference, *found.popularity.get(name, (None, None))])
    return table(head, rows, right=range(1, len(head)))


def retirement(done: Retirement) -> str:
    """`retire`."""
    verb = "Would retire" if done.dry_run else "Retired"
    head = ["MODEL", "KNOWS UNTIL (UTC)", "SIZE", "KEPT BECAUSE"]
    parts = [table(head, [_row(row) for row in done.kept], right=(2,))] if done.kept else []
    if done.retired:
        parts.append(table([verb.upper(), *head[1:3]], [_row(row)[:3] for row in done.retired], right=(2,)))
    if done.leftovers:
        parts.append(table(["LEFTOVERS", *head[1:3]], [_row(row)[:3] for row in done.leftovers], right=(2,)))
    parts += [f"{name} was kept: a channel came to point to it meanwhile" for name in done.spared]
    parts += [f"PROBLEM: {problem}" for problem in done.problems]
    parts.append(
        f"{verb} {len(done.retired)} of {len(done.kept) + len(done.retired) + len(done.spared)} versions and "
        f"{len(done.leftovers)} leftovers, {size(done.freed_bytes)}, recommendations included."
        + (" Nothing was deleted; add --yes to delete." if done.dry_run else "")
    )
    return "\n\n".join(parts)


def _row(row: RetirementCandidate) -> list[Any]:
    all_bytes = row.size_bytes + row.recommendations_bytes
    return [row.model_id, minute(row.known_until), size(all_bytes), "; ".join(row.kept_because)]


def verification(found: Verification) -> str:
    """`verify`."""
    rows = [[row.name, size(row.size_bytes), row.problem or "ok"] for row in found.files]
    wrong = sum(row.problem is not None for row in found.files)
    end = f"{found.model_id}: every file is what the manifest says" if found.ok else f"{found.model_id}: {wrong} wrong"
    return f"{table(['FILE', 'SIZE', 'STATE'], rows, right=(1,))}\n\n{end}"
