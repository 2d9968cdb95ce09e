"""Waiting until a router has decided about a revision."""

import time
from typing import TYPE_CHECKING

from tame_router.canonical_code import Code
from tame_router.cli.adapter_desk import tell
from tame_router.errors import DeadlineExceededError, TameError

if TYPE_CHECKING:
    from tame_router.client.adapter import Revision
    from tame_router.client.client import Client

PAUSE_S = 1.0
"""After a router that went away, before it is asked again: jobs outlive its restart."""


def wait_for_verdict(client: "Client", name: str, timeout_s: float) -> "Revision":
    """Give a revision once it may be published or was refused, and tell each step on the way.

    Raises:
        DeadlineExceededError: When nothing is decided in that time.
        TameError: What the router answered.
    """
    from tame_router.client.adapter import UNDECIDED

    end = time.monotonic() + timeout_s
    last = ""
    while (left_s := end - time.monotonic()) > 0:
        try:
            with client.adapters.watch(name, timeout_s=left_s) as changes:
                for change in changes:
                    if change.state != last:
                        tell(f"{name} is {change.state}")
                    last = change.state
                    if change.state not in UNDECIDED:
                        return client.adapters.get(name)
        except DeadlineExceededError:
            break
        except TameError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
            tell(f"the router is away ({error.message}); asking again")
        time.sleep(min(PAUSE_S, left_s))
    raise DeadlineExceededError(
        f"{name} is not decided after {timeout_s:g} s; the router goes on with it:"
        f" `tame adapter watch {name}` tells the end"
    )
