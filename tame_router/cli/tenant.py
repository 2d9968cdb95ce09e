"""`tame tenant`: who may use the service; a module for each group of its commands."""

from tame_router.cli import (
    tenant_bind,
    tenant_change,
    tenant_grant,
    tenant_key,
    tenant_show,
    tenant_usage,
)
from tame_router.cli.arguments import Commands, add_command

EPILOG = """\
The commands work on the store itself (store.url), and need no router that runs. Routers
see a change within tenants.refresh_s seconds.

examples:
  tame tenant create hospital --title 市立醫院 --grant medical,general
  tame tenant key create hospital --expires 90d
  tame tenant grant hospital legal
  tame tenant bind hospital --san dns:his.hospital.tw
  tame tenant list
"""


def add(commands: Commands) -> None:
    """Add the commands."""
    parser = add_command(commands, "tenant", summary="say who may use the service", epilog=EPILOG)
    below = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (
        tenant_change,
        tenant_show,
        tenant_grant,
        tenant_key,
        tenant_bind,
        tenant_usage,
    ):
        module.add(below)
