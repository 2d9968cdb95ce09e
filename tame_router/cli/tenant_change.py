"""`tame tenant create | update | suspend | resume | delete`."""

import argparse
import sys
from typing import Any

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.tenant_desk import administration, names, show_tenant, write_json

EPILOG = """\
A limit that is not given is none; with `update`, `none` lifts one.

examples:
  tame tenant create hospital --title 市立醫院 --grant medical,general --tokens-per-day 2000000
  tame tenant create factory --grant '*' --publish manufacturing --streams 8
  tame tenant update hospital --tokens-per-day none --retain-texts 30
  tame tenant suspend hospital
  tame tenant delete hospital --yes
"""

LIMITS = {
    "--requests-per-minute": "requests_per_minute",
    "--requests-per-day": "requests_per_day",
    "--tokens-per-minute": "tokens_per_minute",
    "--tokens-per-day": "tokens_per_day",
    "--streams": "concurrent_streams",
    "--upload-bytes-per-day": "upload_bytes_per_day",
}


def add(commands: Commands) -> None:
    """Add the commands."""
    create = _command(commands, "create", "add a tenant", run_create)
    create.add_argument("--grant", type=names, default=frozenset(), metavar="EXPERTS|*")
    create.add_argument("--publish", type=names, default=frozenset(), metavar="EXPERTS")
    update = _command(commands, "update", "change what is given of a tenant", run_update)
    for parser in (create, update):
        parser.add_argument("--title", help="what people call it")
        parser.add_argument("--priority", type=int, metavar="N", help="higher goes first")
        parser.add_argument(
            "--joins", type=names, metavar="JOINS", help="joins it may ask for; '': all"
        )
        parser.add_argument(
            "--retain-texts",
            dest="retain_texts_days",
            type=int,
            metavar="DAYS",
            help="keep questions and answers for so long; 0: never",
        )
        for option, name in LIMITS.items():
            parser.add_argument(option, dest=name, type=_limit, metavar="N")
    _command(commands, "suspend", "answer nothing to a tenant any more", run_suspend)
    _command(commands, "resume", "answer to a tenant again", run_resume)
    delete = _command(commands, "delete", "take a tenant and its keys away", run_delete)
    delete.add_argument("--yes", action="store_true", help="it cannot be taken back")


def run_create(arguments: argparse.Namespace) -> int:
    """Add a tenant."""
    from tame_router.tenancy.tenant import Limits, Tenant

    given = _given(arguments)
    limits = Limits(**{name: _value(number) for name, number in given.pop("limits").items()})
    tenant = Tenant(
        name=arguments.name,
        read=arguments.grant,
        publish=arguments.publish,
        limits=limits,
        **given,
    )
    with administration(arguments) as desk:
        show_tenant(desk.create(tenant), as_json=arguments.json)
    return 0


def run_update(arguments: argparse.Namespace) -> int:
    """Change what is given."""
    import dataclasses

    from tame_router.errors import InvalidRequestError
    from tame_router.tenancy.tenant import Tenant

    given = _given(arguments)
    limits = {name: _value(number) for name, number in given.pop("limits").items()}
    if not given and not limits:
        raise InvalidRequestError("nothing is given to change; `tame tenant update --help` tells")

    def change(old: Tenant) -> Tenant:
        return dataclasses.replace(old, limits=dataclasses.replace(old.limits, **limits), **given)

    with administration(arguments) as desk:
        show_tenant(desk.update(arguments.name, change), as_json=arguments.json)
    return 0


def run_suspend(arguments: argparse.Namespace) -> int:
    """Answer nothing to a tenant any more."""
    return _suspend(arguments, suspended=True)


def run_resume(arguments: argparse.Namespace) -> int:
    """Answer to a tenant again."""
    return _suspend(arguments, suspended=False)


def run_delete(arguments: argparse.Namespace) -> int:
    """Take a tenant away."""
    from tame_router.errors import InvalidRequestError

    if not arguments.yes:
        raise InvalidRequestError(
            f"deleting {arguments.name[:64]!r} takes its grants, keys and bindings away for good;"
            " give --yes if that is meant, or `tame tenant suspend` it"
        )
    with administration(arguments) as desk:
        desk.delete(arguments.name)
    if arguments.json:
        write_json({"name": arguments.name, "deleted": True})
    else:
        sys.stdout.write(f"deleted {arguments.name}; what was recorded of it stays\n")
    return 0


def _suspend(arguments: argparse.Namespace, *, suspended: bool) -> int:
    with administration(arguments) as desk:
        show_tenant(desk.suspend(arguments.name, suspended=suspended), as_json=arguments.json)
    return 0


def _command(commands: Commands, name: str, summary: str, run: Any) -> argparse.ArgumentParser:
    parser = add_command(commands, name, summary=summary, epilog=EPILOG)
    parser.add_argument("name", help="the tenant's name")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)
    return parser


def _limit(text: str) -> int | str:
    """Read a limit; `none` lifts it."""
    if text == "none":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text[:32]!r} is no limit; expected a number, or none"
        ) from None


def _value(limit: int | str) -> int | None:
    return limit if isinstance(limit, int) else None


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Give the fields that were named, the limits apart."""
    fields = ("title", "priority", "joins", "retain_texts_days")
    given = {name: getattr(arguments, name) for name in fields}
    limits = {name: getattr(arguments, name) for name in LIMITS.values()}
    return {
        **{name: value for name, value in given.items() if value is not None},
        "limits": {name: value for name, value in limits.items() if value is not None},
    }
