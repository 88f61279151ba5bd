"""The command `doctor`: the checks of a role in their order, printed as they end."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial

import msgspec

from ...errors import ConfigError
from ...parameters import MAIN_CHANNEL
from ...plain_text import shown_lines
from ..adding import Adder, Typed
from ..commands import Answer
from . import airflow_api, contents, machine, online_api, reach, rights, variables
from .examined import Examined, Role
from .findings import DoctorCheck, Result, State, examine, lines, summary

ABOUT = "check a deployment from inside: what is wrong, and how to fix it"


def checks(role: Role) -> tuple[DoctorCheck[Examined], ...]:
    """The checks of a role, each after those that it needs."""
    first = (*variables.CHECKS, *reach.CHECKS, *rights.checks(role))
    if role is Role.READER:
        return (*first, contents.CHANNEL)
    if role is Role.API:
        return (*first, contents.CHANNEL, machine.CACHE, *online_api.CHECKS)
    store = (contents.SNAPSHOTS, contents.CHANNEL, machine.CACHE, machine.DISK, machine.MEMORY)
    return (*first, *store, *airflow_api.CHECKS, *online_api.CHECKS)


def chosen(found: Sequence[DoctorCheck[Examined]], only: Sequence[str]) -> list[DoctorCheck[Examined]]:
    """The named checks and those that they need; all where none is named. Raises ConfigError for an unknown name."""
    by_name = {check.name: check for check in found}
    unknown = [name for name in only if name not in by_name]
    if unknown:
        raise ConfigError(f"--only {unknown[0]}: there is no such check. There are: {', '.join(by_name)}")
    wanted, todo = set(), list(only or by_name)
    while todo:
        name = todo.pop()
        wanted.add(name)
        todo += [need for need in by_name[name].needs if need not in wanted]
    return [check for check in found if check.name in wanted]


def doctor(args: argparse.Namespace, typed: Typed) -> Answer:
    """Run the checks. The status is 1 where one failed, and with `--strict` also where one warns."""
    environment = dict(os.environ) | ({"RECOMMENDER_ROOT": args.root} if args.root else {})
    examined = Examined(
        environment=environment,
        endpoint_url=args.endpoint_url,
        role=Role(args.role),
        channel=args.channel,
        airflow=airflow_api.address_of(args.airflow, environment),
        api=args.api or "",
    )
    results: list[Result] = []
    for result in examine(chosen(checks(examined.role), args.only), examined):
        if not args.json:
            text = "\n".join(lines(result, results[-1] if results else None))
            print(shown_lines(typed.in_text(text)), flush=True)
        results.append(result)
    bad = {State.FAILED, State.WARNING} if args.strict else {State.FAILED}
    status = 1 if any(row.state in bad for row in results) else 0
    return Answer(msgspec.to_builtins(results), f"\n{summary(results)}", status)


def add_command(add: Adder) -> None:
    """Add `doctor`."""
    examples = ("doctor", "doctor --airflow http://localhost:8080 --api http://localhost:8090", "doctor --role api")
    parser = add.alone("doctor", partial(doctor, typed=add.typed), ABOUT, *examples).parser
    roles = [role.value for role in Role]
    about = "whose credentials these are: of the DAGs, of the online API, of a person who reads (default: %(default)s)"
    parser.add_argument("--role", choices=roles, default=Role.DAG.value, help=about)
    add.option("channel", default=MAIN_CHANNEL)
    about = f"of Airflow's API server (default: {airflow_api.EXECUTION} or {airflow_api.BASE}, if set)"
    parser.add_argument("--airflow", metavar="URL", help=about)
    parser.add_argument("--api", metavar="URL", help="of the online API; without it that is not checked")
    about = "only these checks and what they need; may be repeated"
    parser.add_argument("--only", metavar="CHECK", action="append", default=[], help=about)
    parser.add_argument("--strict", action="store_true", help="a warning counts as a failure")
