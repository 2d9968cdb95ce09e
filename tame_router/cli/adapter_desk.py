"""What the adapter commands share: the way to the router, and how a value is shown."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from tame_router.cli.arguments import DEFAULT_SERVER, add_json
from tame_router.cli.server_access import add_access, connection_options
from tame_router.cli.stranger_text import plain
from tame_router.cli.tenant_desk import time_text

if TYPE_CHECKING:
    from tame_router.client.adapter import Finding, Label, Revision
    from tame_router.client.client import Client
    from tame_router.registry.finding import Finding as Found

LONGEST_TIMEOUT_S = 86_400
DECIDE_S = 3600
"""How long a verdict is waited for where nothing else is said."""


def add_router(parser: argparse.ArgumentParser) -> None:
    """Let a command reach a router, and write JSON."""
    parser.add_argument(
        "--server",
        default=DEFAULT_SERVER,
        metavar="HOST:PORT",
        help=f"the router (default: {DEFAULT_SERVER})",
    )
    add_access(parser)
    add_json(parser)


def add_waiting(parser: argparse.ArgumentParser, what: str) -> None:
    """Let a command wait, or not."""
    parser.add_argument(
        "--wait",
        action=argparse.BooleanOptionalAction,
        default=True,
        help=f"wait for {what} (default)",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=DECIDE_S,
        metavar="SECONDS",
        help=f"wait no longer than (default: {DECIDE_S})",
    )


def connected(arguments: argparse.Namespace) -> "Client":
    """Give a client of the router that is named."""
    from tame_router.client.client import Client

    return Client(arguments.server, **connection_options(arguments))


def seconds(text: str) -> float:
    """Read a number of seconds.

    Raises:
        argparse.ArgumentTypeError: When it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= LONGEST_TIMEOUT_S:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds above 0, at most {LONGEST_TIMEOUT_S}"
        )
    return value


def share(text: str) -> float:
    """Read a share of callers.

    Raises:
        argparse.ArgumentTypeError: When it is none.
    """
    from tame_router.registry.request import LEAST_SHARE

    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not LEAST_SHARE <= value < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a share; expected {LEAST_SHARE:g} or more and below 1, such as 0.1"
        )
    return value


def count(text: str) -> int:
    """Read how many items are wanted.

    Raises:
        argparse.ArgumentTypeError: When it is no number from 1.
    """
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def generation(text: str) -> int:
    """Read the number of a label's move.

    Raises:
        argparse.ArgumentTypeError: When it is no number from 0.
    """
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no generation; expected 0, or a number that `history` shows"
        )
    return int(text)


def tell(text: str) -> None:
    """Say something to people, beside the output."""
    sys.stderr.write(plain(text) + "\n")


def revision_facts(revision: "Revision") -> dict[str, Any]:
    """Give a revision, for JSON; its report as the object it is."""
    import contextlib
    import dataclasses
    import json

    facts = dataclasses.asdict(revision)
    facts["state"] = revision.state.value
    facts["create_time"] = time_text(revision.create_time)
    facts["update_time"] = time_text(revision.update_time)
    # A router that writes its reports in another way has them shown as they are.
    with contextlib.suppress(ValueError):
        facts["report"] = json.loads(revision.report) if revision.report else None
    return facts


def label_facts(label: "Label") -> dict[str, Any]:
    """Give a label, for JSON."""
    return {
        "expert": label.expert,
        "live": label.live,
        "canary": label.canary,
        "canary_share": label.canary_share,
        "shadow": label.shadow,
        "shadow_share": label.shadow_share,
        "shadow_good": label.shadow_good,
        "generation": label.generation,
        "update_time": time_text(label.update_time),
    }


def label_text(label: "Label") -> str:
    """Tell in a sentence what answers."""
    text = f"{label.expert}: {label.live or 'the base model'} answers"
    if label.canary:
        text += f", and {label.canary} {share_text(label.canary_share)} of the conversations"
    if label.shadow_good:
        text += f"; {label.shadow} was found good as a shadow, and waits to be published"
    elif label.shadow:
        text += f"; {label.shadow} answers copies of {share_text(label.shadow_share)}, for nobody"
    return text


def finding_text(finding: "Finding | Found") -> str:
    """Tell in a line what was found."""
    place = f" ({finding.path})" if finding.path else ""
    return f"{finding.reason}{place}: {finding.message}; {finding.advice}"


def share_text(value: float) -> str:
    """Write a share for people, as exactly as it was given."""
    return f"{value * 100:.15g}%"


def number_text(number: int, one: str) -> str:
    """Write how many there are of something whose plural ends in s."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def size_text(size_bytes: int) -> str:
    """Write a number of bytes for people."""
    size, unit = float(size_bytes), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
