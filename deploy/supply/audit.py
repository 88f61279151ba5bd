"""Known vulnerabilities of the locked packages, by pip-audit and the database OSV.

    python -m deploy.supply.audit               # `make lint`: says loudly where the database cannot be reached
    python -m deploy.supply.audit --required    # `make audit`: fails there

Findings that deploy/supply/audit.toml answers, with a reason and a last day, do not fail it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .images import PROJECT

ANSWERS = Path(__file__).with_name("audit.toml")
OSV = "https://api.osv.dev/v1/query"
TIMEOUT_S = 10
NOT_AUDITED = """\
================================================================================
NOT AUDITED: {host} does not answer ({reason}).
Nobody looked for known vulnerabilities. Run `make audit` where the network allows.
================================================================================"""


@dataclass(frozen=True)
class Finding:
    """A vulnerability of a locked package. `ids` holds its id and all aliases."""

    package: str
    version: str
    ids: frozenset[str]
    fixed_in: tuple[str, ...]

    def text(self) -> str:
        """One line: what, where, and the version to move to."""
        fixed = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no version fixes it yet"
        return f"{self.package} {self.version}: {', '.join(sorted(self.ids))}; {fixed}"


@dataclass(frozen=True)
class Answer:
    """Why a finding may stay, and the last day of that."""

    id: str
    package: str
    reason: str
    until: date

    def covers(self, finding: Finding) -> bool:
        """Whether it is about this finding, whatever the day."""
        return self.package == finding.package and self.id in finding.ids


class AuditFailed(RuntimeError):
    """pip-audit ended without a result, although the database answers."""


def read_answers(path: Path) -> list[Answer]:
    """Raise ValueError where an answer lacks a part, a reason or a day."""
    rows = tomllib.loads(path.read_text())["answered"]
    try:
        answers = [Answer(**row) for row in rows]
    except TypeError as error:
        raise ValueError(f"{path.name}: an answer has id, package, reason and until: {error}") from None
    for each in answers:
        if not isinstance(each.until, date) or not str(each.reason).strip():
            raise ValueError(f"{path.name}: {each.id} needs a reason, and until as a date such as 2027-03-31")
    return answers


def unreachable(url: str) -> str | None:
    """Why the database gives no answer to one plain question; None where it does."""
    question = json.dumps({"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "26.0"}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, question), timeout=TIMEOUT_S) as answer:  # noqa: S310 OSV, or what a test names
            json.load(answer)
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
    return None


def findings(pip_audit: Path, locked: Path, url: str) -> list[Finding]:
    """Ask about every locked package that belongs on this platform."""
    command: list[str | Path] = [pip_audit, "--requirement", locked, "--no-deps", "--disable-pip"]
    command += ["--vulnerability-service", "osv", "--osv-url", url, "--timeout", str(TIMEOUT_S)]
    command += ["--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 our own arguments
    try:
        rows = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        raise AuditFailed(f"pip-audit ended with {done.returncode}: {done.stderr.strip()[-2000:]}") from None
    skipped = [row["name"] for row in rows if "skip_reason" in row]
    if skipped or not rows:
        raise AuditFailed(f"pip-audit left out {', '.join(skipped) or 'every package'}")
    return [_finding(row, each) for row in rows for each in row["vulns"]]


def _finding(row: dict[str, Any], vulnerability: dict[str, Any]) -> Finding:
    ids = frozenset([vulnerability["id"], *vulnerability["aliases"]])
    return Finding(row["name"], row["version"], ids, tuple(vulnerability["fix_versions"]))


def problems(found: Sequence[Finding], answers: Sequence[Answer], today: date) -> Iterator[str]:
    """Findings without an answer that still counts, and answers to nothing."""
    for finding in found:
        matching = [answer for answer in answers if answer.covers(finding)]
        if not matching:
            yield f"{finding.text()}. Upgrade (make constraints), or answer it in deploy/supply/audit.toml"
        elif all(answer.until < today for answer in matching):
            yield f"{finding.text()}. Its answer ended on {max(answer.until for answer in matching)}: look again"
    for answer in answers:
        if not any(answer.covers(finding) for finding in found):
            yield f"{answer.id} of {answer.package} is no finding any more: remove it from deploy/supply/audit.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 on a finding, and with --required where nothing could be asked."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply.audit", description=__doc__)
    parser.add_argument("--required", action="store_true", help="fail where the database cannot be reached")
    parser.add_argument("--osv-url", default=OSV, help="the database's address (%(default)s)")
    parser.add_argument("--pip-audit", type=Path, default=PROJECT / ".tools" / "bin" / "pip-audit")
    parser.add_argument("--locked", type=Path, default=PROJECT / "constraints.txt", help="the locked packages")
    parser.add_argument("--answers", type=Path, default=ANSWERS, help="answered findings")
    given = parser.parse_args(arguments)
    answers = read_answers(given.answers)
    reason = unreachable(given.osv_url)
    if reason:
        print(NOT_AUDITED.format(host=urlsplit(given.osv_url).netloc, reason=reason), file=sys.stderr)
        return 1 if given.required else 0
    try:
        found = findings(given.pip_audit, given.locked, given.osv_url)
    except AuditFailed as error:
        print(f"audit: {error}", file=sys.stderr)
        return 1
    wrong = list(problems(found, answers, datetime.now(UTC).date()))
    for line in wrong:
        print(f"audit: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
