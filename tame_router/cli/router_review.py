"""`tame router review`: a person reads feedback and decides what may teach the router."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.stranger_text import plain

if TYPE_CHECKING:
    from tame_router.feedback.desk import Desk, Outcome
    from tame_router.feedback.feedback import Feedback
    from tame_router.feedback.review import Line, Refusal

EPILOG = """\
On a terminal it shows one after the other and asks. Approving adds the question to
experts/EXPERT/utterances.LANGUAGE.txt; training, or a restart of `tame serve`, makes it
count. Exits 1 when a decision could not be carried out.

examples:
  tame router review
  tame router review --list --json
  tame router review --approve 1f0c2a7be94d3c55 --reject 77ab01d2c3e4f506
"""

NEXT_STEP = "`tame router train`, or a restart of `tame serve`, makes it count"


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "review", summary="decide which feedback may teach it", epilog=EPILOG
    )
    parser.add_argument("--list", action="store_true", help="list what is pending, change nothing")
    parser.add_argument("--approve", nargs="+", default=[], metavar="ID", help="approve these")
    parser.add_argument("--reject", nargs="+", default=[], metavar="ID", help="reject these")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List, decide as told, or ask for each."""
    from tame_router.errors import InvalidRequestError

    decided = arguments.approve or arguments.reject
    if arguments.list and decided:
        raise InvalidRequestError("--list changes nothing; leave it out, or --approve and --reject")
    asking = not (arguments.list or decided)
    if asking and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InvalidRequestError(
            "review asks on a terminal, and this is none; give --list, --approve or --reject"
        )
    with _open(arguments) as desk:
        if asking:
            return _ask(desk)
        if arguments.list:
            return _list(desk, as_json=arguments.json)
        return _decide(desk, arguments)


@contextmanager
def _open(arguments: argparse.Namespace) -> "Iterator[Desk]":
    from tame_router import app
    from tame_router.config_file import load_settings
    from tame_router.feedback.desk import Desk
    from tame_router.feedback.store import FeedbackStore
    from tame_router.store import Database
    from tame_router.trained_router import plan_lesson

    settings = load_settings(arguments.config)
    folders = plan_lesson(settings, app.build_catalog(settings)).folders
    database = Database(settings.store, settings.state_dir)
    try:
        yield Desk(FeedbackStore(database), folders)
    finally:
        database.close()


def _list(desk: "Desk", *, as_json: bool) -> int:
    material = desk.material()
    for feedback in desk.pending():
        facts = _facts(feedback, material.propose(feedback))
        if as_json:
            sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
        else:
            row = (str(value) for value in facts.values())
            sys.stdout.write("\t".join(plain(" ".join(value.split())) for value in row) + "\n")
    return 0


def _facts(feedback: "Feedback", proposal: "Line | Refusal") -> dict[str, str]:
    from tame_router.feedback.review import Refusal

    return {
        "feedback_id": feedback.feedback_id,
        "create_time": feedback.create_time.isoformat(timespec="seconds"),
        "answer_id": feedback.answer_id,
        "expert": feedback.expert,
        "language": "" if isinstance(proposal, Refusal) else proposal.language,
        "refusal": proposal.reason if isinstance(proposal, Refusal) else "",
        "question": feedback.question,
        "comment": feedback.comment,
        "tenant": feedback.tenant,
        "rating": feedback.rating.value,
    }


def _decide(desk: "Desk", arguments: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    outcomes = [desk.approve(feedback_id, now) for feedback_id in arguments.approve]
    outcomes += [desk.reject(feedback_id, now) for feedback_id in arguments.reject]
    for outcome in outcomes:
        _show(outcome, as_json=arguments.json)
    if not arguments.json and any(o.done for o in outcomes[: len(arguments.approve)]):
        sys.stdout.write(f"{NEXT_STEP}\n")
    return 0 if all(outcome.done for outcome in outcomes) else 1


def _show(outcome: "Outcome", *, as_json: bool) -> None:
    facts = {
        "feedback_id": outcome.feedback_id,
        "result": outcome.result.value,
        "message": outcome.message,
    }
    if as_json:
        sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
    else:
        stream = sys.stdout if outcome.done else sys.stderr
        stream.write(plain(" ".join(facts.values())) + "\n")


def _ask(desk: "Desk") -> int:
    """Show each, and do what the person says, until `q` or the end of input."""
    pending = desk.pending()
    results: Counter[str] = Counter()
    material = desk.material()
    for number, feedback in enumerate(pending, start=1):
        proposal = material.propose(feedback)
        _show_feedback(feedback, proposal, f"{number}/{len(pending)}")
        answer = _answer(proposal)
        if answer == "quit":
            break
        if answer == "skip":
            continue
        decide = desk.approve if answer == "approve" else desk.reject
        outcome = decide(feedback.feedback_id, datetime.now(UTC))
        results[outcome.result] += 1
        sys.stdout.write(f"{outcome.result}: {plain(outcome.message)}\n\n")
        if decide == desk.approve:
            material = desk.material()
    approved, rejected = results["approved"], results["rejected"]
    left = len(pending) - approved - rejected
    sys.stdout.write(f"{approved} approved, {rejected} rejected, {left} left\n")
    if approved:
        sys.stdout.write(f"{NEXT_STEP}\n")
    return 0


def _show_feedback(feedback: "Feedback", proposal: "Line | Refusal", place: str) -> None:
    from tame_router.feedback.review import Refusal

    if isinstance(proposal, Refusal):
        line = f"none: {proposal.message}"
    else:
        standing = " (stands there already)" if proposal.standing else ""
        line = f"{proposal.expert}, {proposal.language}: {proposal.text}{standing}"
    rows = {
        "question": feedback.question or "not sent",
        "comment": feedback.comment or "none",
        "expert": feedback.expert,
        "line": line,
    }
    of = f" of {feedback.tenant}" if feedback.tenant else ""
    sys.stdout.write(
        f"{place}  {feedback.feedback_id}, {feedback.create_time:%Y-%m-%d %H:%M} UTC,"
        f" answer {feedback.answer_id}{of}\n"
    )
    for name, value in rows.items():
        shown = f"\n{'':<10}".join(plain(part) for part in value.splitlines())
        sys.stdout.write(f"{name:<10}{shown}\n")


def _answer(proposal: "Line | Refusal") -> str:
    """Ask until the answer is one of those there are; the end of input quits."""
    from tame_router.feedback.review import Refusal

    approvable = () if isinstance(proposal, Refusal) else ("approve",)
    choices: tuple[str, ...] = (*approvable, "reject", "skip", "quit")
    while True:
        sys.stdout.write(", ".join(f"[{c[0]}]{c[1:]}" for c in choices) + "? ")
        sys.stdout.flush()
        typed = sys.stdin.readline()
        if not typed:
            sys.stdout.write("\n")
            return "quit"
        said = typed.strip().lower()
        chosen = [choice for choice in choices if said in {choice, choice[0]}]
        if chosen:
            return chosen[0]
