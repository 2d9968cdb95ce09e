"""`tame adapter`: the life of adapters on a running router; a module for each group of commands."""

from tame_router.cli import (
    adapter_change,
    adapter_history,
    adapter_show,
    adapter_sign,
    adapter_upload,
)
from tame_router.cli.arguments import Commands, add_command

EPILOG = """\
An adapter's folder becomes a revision, named by the digest of its files. It is checked,
evaluated beside the live one, and published when you say so; a rollback takes a second.
What it takes is the scope `publish` and a grant to publish for the expert
(`tame tenant grant NAME --publish EXPERT`), or the scope `admin`.

examples:
  tame adapter upload out/legal --expert legal
  tame adapter show legal--0123456789abcdef
  tame adapter publish legal--0123456789abcdef --canary 0.1
  tame adapter rollback legal
  tame adapter list --expert legal
"""


def add(commands: Commands) -> None:
    """Add the commands."""
    parser = add_command(
        commands, "adapter", summary="bring adapters to a running router", epilog=EPILOG
    )
    below = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (
        adapter_upload,
        adapter_show,
        adapter_change,
        adapter_history,
        adapter_sign,
    ):
        module.add(below)
