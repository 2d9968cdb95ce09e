"""`tame adapter evaluate | publish | rollback | retire | gc`."""

import argparse
import sys
from typing import Any

from tame_router.cli.adapter_desk import (
    add_router,
    add_waiting,
    connected,
    generation,
    label_facts,
    label_text,
    number_text,
    revision_facts,
    share,
    size_text,
)
from tame_router.cli.arguments import Commands, add_command
from tame_router.cli.stranger_text import plain
from tame_router.cli.tenant_desk import write_json

EPILOG = """\
A publication returns when every replica has the revision and the label has moved, or
changes nothing and exits 1. `rollback` lets the revision before the live one answer
again, or ends a canary or a shadow.

examples:
  tame adapter evaluate legal--0123456789abcdef
  tame adapter publish legal--0123456789abcdef
  tame adapter publish legal--0123456789abcdef --canary 0.1
  tame adapter publish legal--0123456789abcdef --shadow 0.1
  tame adapter rollback legal --because "it cites repealed acts"
  tame adapter rollback legal --revision legal--fedcba9876543210
  tame adapter retire legal--0123456789abcdef --yes
  tame adapter gc --dry-run
"""

NAME = "the revision's name"


def add(commands: Commands) -> None:
    """Add the commands."""
    evaluate = _command(
        commands, "evaluate", "evaluate an approved or refused revision again", run_evaluate
    )
    evaluate.add_argument("name", help=NAME)
    add_waiting(evaluate, "the verdict")
    publish = _command(commands, "publish", "let an approved revision answer", run_publish)
    publish.add_argument("name", help=NAME)
    tried = publish.add_mutually_exclusive_group()
    tried.add_argument(
        "--canary",
        type=share,
        metavar="SHARE",
        help="only this share of the conversations, from 0.001 to below 1, until the router lets"
        " it answer all or takes it back",
    )
    tried.add_argument(
        "--shadow",
        type=share,
        metavar="SHARE",
        help="only copies of this share of the conversations, and nobody gets these answers; one"
        " that is worse is taken back, and you say what comes of a good one",
    )
    publish.add_argument(
        "--generation",
        type=generation,
        metavar="N",
        help="only while the label is at this generation, as `history` showed it",
    )
    rollback = _command(commands, "rollback", "let an earlier revision answer again", run_rollback)
    rollback.add_argument("expert", help="the expert's name")
    rollback.add_argument(
        "--revision", default="", metavar="NAME", help="which (default: the one before)"
    )
    rollback.add_argument("--because", default="", metavar="TEXT", help="why, for the history")
    for parser in (publish, rollback):
        parser.add_argument(
            "--request-id", default="", metavar="ID", help="names the call, which is done once"
        )
    retire = _command(commands, "retire", "withdraw a revision for good", run_retire)
    retire.add_argument("name", help=NAME)
    retire.add_argument("--yes", action="store_true", help="it cannot be taken back")
    collect = _command(commands, "gc", "remove bytes that nothing needs any more", run_collect)
    collect.add_argument("--dry-run", action="store_true", help="only tell which those are")


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Evaluate a revision again; exits 1 where it is refused."""
    from tame_router.cli.adapter_screen import show_revision
    from tame_router.cli.adapter_verdict import wait_for_verdict
    from tame_router.client.adapter import RevisionState

    with connected(arguments) as client:
        revision = client.adapters.evaluate(arguments.name)
        if arguments.wait:
            revision = wait_for_verdict(client, revision.name, arguments.timeout)
    if arguments.json:
        write_json(revision_facts(revision))
    else:
        show_revision(revision)
    return 1 if revision.state is RevisionState.REJECTED else 0


def run_publish(arguments: argparse.Namespace) -> int:
    """Publish a revision."""
    with connected(arguments) as client:
        published = client.adapters.publish(
            arguments.name,
            canary_share=arguments.canary,
            shadow_share=arguments.shadow,
            request_id=arguments.request_id,
            expected_generation=arguments.generation,
        )
    _show(label_facts(published.label), label_text(published.label), arguments)
    return 0


def run_rollback(arguments: argparse.Namespace) -> int:
    """Go back."""
    with connected(arguments) as client:
        label = client.adapters.rollback(
            arguments.expert,
            arguments.revision,
            because=arguments.because,
            request_id=arguments.request_id,
        )
    _show(label_facts(label), label_text(label), arguments)
    return 0


def run_retire(arguments: argparse.Namespace) -> int:
    """Withdraw a revision."""
    from tame_router.errors import InvalidRequestError

    if not arguments.yes:
        raise InvalidRequestError(
            f"{arguments.name[:64]!r} could never be published again; give --yes if that is meant"
        )
    with connected(arguments) as client:
        revision = client.adapters.retire(arguments.name)
    _show(revision_facts(revision), f"{revision.name} is withdrawn", arguments)
    return 0


def run_collect(arguments: argparse.Namespace) -> int:
    """Remove what nothing needs."""
    import dataclasses

    with connected(arguments) as client:
        collected = client.adapters.collect(dry_run=arguments.dry_run)
    removed = len(collected.revisions) + len(collected.strays)
    verb = "would remove" if arguments.dry_run else "removed"
    text = "\n".join(
        [
            *collected.revisions,
            *(f"{name}  (no record names it)" for name in collected.strays),
            *(f"{sha256}  (contents that no revision names)" for sha256 in collected.contents),
            *(f"{name}  (stays, but is damaged: upload it again)" for name in collected.damaged),
            f"{verb} {number_text(removed, 'revision')}, {size_text(collected.freed_bytes)},"
            f" and {number_text(collected.uploads, 'unfinished upload')}",
        ]
    )
    _show({**dataclasses.asdict(collected), "dry_run": arguments.dry_run}, text, arguments)
    return 0


def _show(facts: dict[str, Any], text: str, arguments: argparse.Namespace) -> None:
    if arguments.json:
        write_json(facts)
    else:
        sys.stdout.writelines(plain(line) + "\n" for line in text.split("\n"))


def _command(commands: Commands, name: str, summary: str, run: Any) -> argparse.ArgumentParser:
    parser = add_command(commands, name, summary=summary, epilog=EPILOG)
    add_router(parser)
    parser.set_defaults(run=run)
    return parser
