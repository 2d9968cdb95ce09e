"""`tame tenant key create | list | rotate | revoke`."""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tame_router.cli import period
from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.tenant_desk import (
    administration,
    key_facts,
    names,
    write_json,
    write_table,
)

if TYPE_CHECKING:
    from tame_router.admission.key_issue import IssuedKey
    from tame_router.tenancy.tenant import Scope

EPILOG = """\
A key is shown once, on standard output, when it is made; only its digest is kept. Scopes:
chat (the default), publish, usage, metrics, admin. `admin` changes all tenants.

examples:
  tame tenant key create hospital --title HIS --expires 90d
  tame tenant key create operations --scopes admin,metrics
  tame tenant key list hospital
  tame tenant key rotate KEY_ID --overlap 7d
  tame tenant key revoke KEY_ID
"""


def add(commands: Commands) -> None:
    """Add the commands."""
    parser = add_command(commands, "key", summary="make, list and end API keys", epilog=EPILOG)
    below = parser.add_subparsers(metavar="COMMAND", required=True)
    create = _command(below, "create", "make a key, and show it this once", run_create)
    create.add_argument("name", help="the tenant's name")
    create.add_argument("--scopes", type=names, default=frozenset({"chat"}), metavar="SCOPES")
    create.add_argument("--title", default="", help="what its owner calls it")
    listing = _command(below, "list", "list a tenant's keys", run_list)
    listing.add_argument("name", help="the tenant's name")
    rotate = _command(below, "rotate", "make a key in the place of another", run_rotate)
    rotate.add_argument("key_id", metavar="KEY_ID")
    rotate.add_argument(
        "--overlap",
        type=period.period,
        default=timedelta(0),
        metavar="PERIOD",
        help="how long the old one counts beside the new: 12h, 7d (default: it ends now)",
    )
    for made in (create, rotate):
        made.add_argument(
            "--expires", type=period.end, metavar="END", help="90d from now, or 2027-06-30"
        )
    revoke = _command(below, "revoke", "let a key count no more", run_revoke)
    revoke.add_argument("key_id", metavar="KEY_ID")


def run_create(arguments: argparse.Namespace) -> int:
    """Make a key."""
    from tame_router.admission.key_issue import KeyWish, issue_key

    now = datetime.now(UTC)
    wish = KeyWish(
        tenant=arguments.name,
        scopes=read_scopes(arguments.scopes),
        title=arguments.title,
        expire_time=period.moment(arguments.expires, now),
    )
    with administration(arguments) as desk:
        _show(issue_key(desk, wish, now), as_json=arguments.json)
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """List the keys of a tenant."""
    with administration(arguments) as desk:
        keys = desk.keys(arguments.name)
    if arguments.json:
        write_json(*map(key_facts, keys))
        return 0
    now = datetime.now(UTC)
    rows = []
    for key in keys:
        facts = key_facts(key)
        facts["scopes"] = ", ".join(facts["scopes"])
        facts["tenant"] = "counts" if key.counts(now) else "ended"
        rows.append([str(value) for value in facts.values()])
    write_table(("key id", "state", "scopes", "title", "made", "expires", "revoked"), rows)
    return 0


def run_rotate(arguments: argparse.Namespace) -> int:
    """Make a key in the place of another."""
    from tame_router.admission.key_issue import Rotation, rotate_key

    now = datetime.now(UTC)
    rotation = Rotation(
        key_id=arguments.key_id,
        overlap=arguments.overlap,
        expire_time=period.moment(arguments.expires, now),
    )
    with administration(arguments) as desk:
        _show(rotate_key(desk, rotation, now), as_json=arguments.json)
    return 0


def run_revoke(arguments: argparse.Namespace) -> int:
    """Let a key count no more."""
    with administration(arguments) as desk:
        key = desk.revoke_key(arguments.key_id, datetime.now(UTC))
    if arguments.json:
        write_json(key_facts(key))
    else:
        sys.stdout.write(f"revoked {key.key_id} of {key.tenant}\n")
    return 0


def read_scopes(given: frozenset[str]) -> "frozenset[Scope]":
    """Read scopes.

    Raises:
        InvalidRequestError: When one of them is not known.
    """
    from tame_router.errors import InvalidRequestError
    from tame_router.tenancy.tenant import Scope

    unknown = sorted(given.difference(Scope))
    if unknown:
        raise InvalidRequestError(
            f"--scopes holds {unknown[0][:32]!r}; expected some of {', '.join(Scope)}"
        )
    return frozenset(map(Scope, given))


def _show(issued: "IssuedKey", *, as_json: bool) -> None:
    """Show a key: it alone on standard output, so that it can be piped where it belongs."""
    if as_json:
        write_json({"key": issued.text, **key_facts(issued.kept)})
        return
    sys.stdout.write(f"{issued.text}\n")
    facts = key_facts(issued.kept)
    until = f"until {facts['expire_time']}" if facts["expire_time"] else "without end"
    sys.stderr.write(
        f"key {issued.kept.key_id} of {issued.kept.tenant}, {', '.join(facts['scopes'])}, {until};"
        " it is shown this once\n"
    )


def _command(commands: Commands, name: str, summary: str, run: Any) -> argparse.ArgumentParser:
    parser = add_command(commands, name, summary=summary, epilog=EPILOG)
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)
    return parser
