"""`tame router`: teach the router and measure it; a module for each of its commands."""

from tame_router.cli import (
    router_add,
    router_compare,
    router_evaluate,
    router_explain,
    router_review,
    router_train,
)
from tame_router.cli.arguments import Commands, add_command

EPILOG = """\
examples:
  tame router train
  tame router evaluate questions.jsonl
  tame router compare before.jsonl after.jsonl
  tame router explain "手術失敗可以告醫院嗎？"
  tame router review
  tame router add drafts/insurance
"""


def add(commands: Commands) -> None:
    """Add the commands."""
    parser = add_command(
        commands, "router", summary="teach the router and measure it", epilog=EPILOG
    )
    below = parser.add_subparsers(metavar="COMMAND", required=True)
    router_train.add(below)
    router_evaluate.add(below)
    router_compare.add(below)
    router_explain.add(below)
    router_review.add(below)
    router_add.add(below)
