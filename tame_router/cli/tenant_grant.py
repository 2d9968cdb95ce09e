"""`tame tenant grant | revoke`: which experts a tenant may use."""

import argparse

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.tenant_desk import administration, names, show_tenant

EPILOG = """\
'*' stands for all experts that are not private; a private one is granted by its name.

examples:
  tame tenant grant hospital medical,legal
  tame tenant grant hospital --publish medical
  tame tenant grant factory --publish packaging --new-expert
  tame tenant revoke hospital '*'
"""


def add(commands: Commands) -> None:
    """Add the commands."""
    for name, summary, run in (
        ("grant", "let a tenant use experts", run_grant),
        ("revoke", "let a tenant use experts no more", run_revoke),
    ):
        parser = add_command(commands, name, summary=summary, epilog=EPILOG)
        parser.add_argument("name", help="the tenant's name")
        parser.add_argument(
            "experts", nargs="?", type=names, default=frozenset(), help="to ask: names, or *"
        )
        parser.add_argument(
            "--publish",
            type=names,
            default=frozenset(),
            metavar="EXPERTS",
            help="to bring adapters for: names",
        )
        if run is run_grant:
            parser.add_argument(
                "--new-expert",
                action="store_true",
                help="those to bring adapters for need not be there yet: the tenant may make them",
            )
        add_config(parser)
        add_json(parser)
        parser.set_defaults(run=run)


def run_grant(arguments: argparse.Namespace) -> int:
    """Let a tenant use experts."""
    with administration(arguments) as desk:
        tenant = desk.grant(
            arguments.name,
            arguments.experts,
            arguments.publish,
            new_expert=arguments.new_expert,
        )
    show_tenant(tenant, as_json=arguments.json)
    return 0


def run_revoke(arguments: argparse.Namespace) -> int:
    """Let a tenant use experts no more."""
    with administration(arguments) as desk:
        tenant = desk.revoke(arguments.name, arguments.experts, arguments.publish)
    show_tenant(tenant, as_json=arguments.json)
    return 0
