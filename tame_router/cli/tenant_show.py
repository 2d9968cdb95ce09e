"""`tame tenant show | list`."""

import argparse

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.tenant_desk import (
    administration,
    show_tenant,
    tenant_facts,
    write_json,
    write_table,
)

EPILOG = """\
examples:
  tame tenant list
  tame tenant show hospital --json
"""


def add(commands: Commands) -> None:
    """Add the commands."""
    show = add_command(commands, "show", summary="show a tenant", epilog=EPILOG)
    show.add_argument("name", help="the tenant's name")
    listing = add_command(commands, "list", summary="list the tenants", epilog=EPILOG)
    for parser, run in ((show, run_show), (listing, run_list)):
        add_config(parser)
        add_json(parser)
        parser.set_defaults(run=run)


def run_show(arguments: argparse.Namespace) -> int:
    """Show a tenant."""
    with administration(arguments) as desk:
        show_tenant(desk.tenant(arguments.name), as_json=arguments.json)
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """List the tenants, in order of their names."""
    with administration(arguments) as desk:
        known = desk.snapshot()
    tenants = [known.tenants[name] for name in sorted(known.tenants)]
    if arguments.json:
        write_json(*map(tenant_facts, tenants))
        return 0
    rows = [
        (
            tenant.name,
            tenant.title,
            ", ".join(sorted(tenant.read)),
            ", ".join(sorted(tenant.publish)),
            str(sum(key.tenant == tenant.name for key in known.keys.values())),
            "suspended" if tenant.suspended else "",
        )
        for tenant in tenants
    ]
    write_table(("name", "title", "read", "publish", "keys", "state"), rows)
    return 0
