"""What an answer costs in the end: all of it, its request alone, or nothing. Pure."""

import asyncio

from tame_router.admission.observation import Observation
from tame_router.errors import (
    AdmissionError,
    BackendError,
    DeadlineExceededError,
    RequestError,
    RoutingError,
)

_CALLERS_END = (asyncio.CancelledError, DeadlineExceededError, TimeoutError)
"""The caller left, or its time was up: experts have read what they were asked all the same."""

_CALLERS_FAULT = (RequestError, AdmissionError, RoutingError)


def due(error: BaseException | None, seen: Observation) -> int | None:
    """Tell how many tokens an answer costs.

    Args:
        error: What ended it; None: it is whole.
        seen: What happened in it.

    Returns:
        Tokens read and written; None: nothing is counted, the request neither.
    """
    if error is None or seen.handed_out or isinstance(error, _CALLERS_END):
        return seen.tokens
    if isinstance(error, BackendError) and seen.spent:
        # Of several experts some left on the caller's account: too slow for it, or too long.
        return seen.tokens
    if isinstance(error, _CALLERS_FAULT) and seen.asked:
        # The backend found it wrong: it was asked, and read nothing.
        return 0
    return None
