"""What a caller is told whose tenant has used up what it may use."""

import math

from tame_router.errors import QuotaExceededError
from tame_router.quota.limit import Limit

STREAMS = "concurrent_streams"
"""Name of the limit that counts what is under way."""

STREAMS_RETRY_S = 1.0
"""When to try again where too many streams are open: nobody knows when one ends."""


def window_full(
    limit: Limit, cap: int, used: int, amount: int, wait_s: float
) -> QuotaExceededError:
    """Tell of a window that is full, and when it lets the request in.

    Args:
        limit: Which one.
        cap: What it allows.
        used: What is used of it.
        amount: What the request takes.
        wait_s: When it will fit, in seconds, if nothing else is used meanwhile.
    """
    seconds = max(1, math.ceil(wait_s))
    return QuotaExceededError(
        f"{limit.name} is {cap}: {used} {limit.unit.value} are used or reserved in the last"
        f" {limit.span}, and this takes up to {amount}; come back in {seconds} s",
        metadata={"limit": limit.name},
        retry_after_s=float(seconds),
    )


def never_fits(limit: Limit, cap: int, amount: int) -> QuotaExceededError:
    """Tell of a request that is larger than the whole limit."""
    less = "ask for less, or " if cap else ""
    advice = f"waiting does not help: {less}have the operator raise the limit"
    return QuotaExceededError(
        f"{limit.name} is {cap}, and this alone takes up to {amount} {limit.unit.value}; {advice}",
        metadata={"limit": limit.name},
    )


def streams_full(cap: int, used: int) -> QuotaExceededError:
    """Tell of too many answers under way."""
    if cap == 0:
        return QuotaExceededError(
            f"{STREAMS} is 0: nothing is answered; have the operator raise the limit",
            metadata={"limit": STREAMS},
        )
    return QuotaExceededError(
        f"{STREAMS} is {cap}, and {used} answers are under way;"
        f" wait for one to end, and try again in {STREAMS_RETRY_S:.0f} s",
        metadata={"limit": STREAMS},
        retry_after_s=STREAMS_RETRY_S,
    )
