"""`tame experts list | show | check | schema`."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from tame_router.cli.arguments import Commands, add_command, add_config, add_json

if TYPE_CHECKING:
    from tame_router.catalog.expert import Expert

EPILOG = """\
`check` prints one line a fault, `file:line: what is wrong`, and exits 1 when there
is any; advice alone does not fail.

examples:
  tame experts list
  tame experts show legal --json
  tame experts check
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "experts", summary="list and check the experts", epilog=EPILOG)
    below = parser.add_subparsers(metavar="COMMAND", required=True)
    listing = add_command(below, "list", summary="list the experts", epilog=EPILOG)
    show = add_command(below, "show", summary="show one expert", epilog=EPILOG)
    show.add_argument("name")
    check = add_command(
        below, "check", summary="check everything under the experts folder", epilog=EPILOG
    )
    schema = add_command(
        below, "schema", summary="print the JSON schema of expert.yaml", epilog=EPILOG
    )
    schema.set_defaults(run=run_schema)
    for command, run in ((listing, run_list), (show, run_show), (check, run_check)):
        add_config(command)
        if command is not check:
            add_json(command)
        command.set_defaults(run=run)


def run_list(arguments: argparse.Namespace) -> int:
    """List the experts: a table on a terminal, tabs in a pipe, or JSON lines."""
    from tame_router import app
    from tame_router.config_file import load_settings

    catalog = app.build_catalog(load_settings(arguments.config))
    experts = [catalog.expert(name) for name in catalog.names]
    if arguments.json:
        for expert in experts:
            sys.stdout.write(json.dumps(_facts(expert), ensure_ascii=False) + "\n")
        return 0
    rows = [
        (e.name, " · ".join(e.titles.values()), e.live_revision or "base model", e.backend)
        for e in experts
    ]
    if sys.stdout.isatty():
        _show_table(rows)
    else:
        sys.stdout.writelines("\t".join(row) + "\n" for row in rows)
    return 0


def _show_table(rows: list[tuple[str, str, str, str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("name", "title", "revision", "backend"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*map(escape, row))
    Console(highlight=False).print(table)


def run_show(arguments: argparse.Namespace) -> int:
    """Show one expert as YAML, or as JSON."""
    import yaml

    from tame_router import app
    from tame_router.config_file import load_settings

    facts = _facts(app.build_catalog(load_settings(arguments.config)).expert(arguments.name))
    if arguments.json:
        sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(yaml.safe_dump(facts, allow_unicode=True, sort_keys=False))
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    """Print every fault, then a summary."""
    from tame_router.config_file import load_settings
    from tame_router.inspection import check_experts

    report = check_experts(load_settings(arguments.config))
    for problem in report.problems:
        sys.stdout.write(f"{problem}\n")
    fatal = sum(problem.fatal for problem in report.problems)
    advice = len(report.problems) - fatal
    sys.stdout.write(
        f"{report.experts} experts, {report.utterances} utterances,"
        f" {report.cases} evaluation cases: {fatal} faults, {advice} pieces of advice\n"
    )
    return 1 if fatal else 0


def run_schema(_arguments: argparse.Namespace) -> int:
    """Print the schema."""
    from tame_router.catalog.loader import schema

    sys.stdout.write(schema() + "\n")
    return 0


def _facts(expert: "Expert") -> dict[str, Any]:
    from msgspec.structs import asdict

    return {
        "name": expert.name,
        "titles": dict(expert.titles),
        "descriptions": dict(expert.descriptions),
        "live_revision": expert.live_revision,
        "backend": expert.backend,
        "sampling": {
            **asdict(expert.sampling),
            "stop": list(expert.sampling.stop),
        },
        "notices": dict(expert.notices),
        "prompt": expert.prompt,
    }
