"""What became of one answer, as far as a canary is judged by it."""

from dataclasses import dataclass
from typing import Final

from tame_router.answering.event import ExpertFinish
from tame_router.backends.replicas.failure import FailureKind, failure_of
from tame_router.chat import FinishReason
from tame_router.errors import (
    BackendError,
    BackendSilentError,
    DeadlineExceededError,
    TameError,
)

WHOLLY_SIMPLIFIED: Final = 0.05
"""Share of Simplified characters from which an answer counts as Simplified altogether: most
characters are written alike in both."""

_REVISIONS: Final = frozenset({FailureKind.FAILED, FailureKind.MALFORMED})
"""How a revision can make a server fail. In all other ways a replica fails whatever it is asked: a
caller's answer goes on elsewhere then, and a copy does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One answer.

    Attributes:
        bad: It failed, is empty, was cut by the backend, or holds Simplified Chinese where that
            was not wanted.
        token_s: Seconds a token; None: none was written, or it cannot be told.
        leak: How Simplified it is: 0 not at all, 1 altogether; None: nobody looked.
    """

    bad: bool
    token_s: float | None = None
    leak: float | None = None


FAILED = Outcome(bad=True)
"""There is no answer: the backend refused, broke or kept silent."""


def outcome_of(finish: ExpertFinish) -> Outcome:
    """Judge an answer that ended.

    An answer that ends at its `max_tokens` is what the caller asked for, and not bad.

    Args:
        finish: How it ended.
    """
    tokens = finish.usage.completion_tokens
    first = finish.time_to_first_token_s
    token_s = None
    if first is not None and tokens > 1:
        token_s = (finish.elapsed_s - first) / (tokens - 1)
    leak = None
    if finish.looked_at:
        leak = min(1.0, finish.simplified / finish.looked_at / WHOLLY_SIMPLIFIED)
    filtered = finish.finish_reason is FinishReason.CONTENT_FILTER
    bad = first is None or finish.simplified > 0 or filtered
    return Outcome(bad=bad, token_s=token_s, leak=leak)


def blames_revision(error: TameError, *, begun: bool) -> bool:
    """Tell whether a pair counts of which one answer failed so, the live one's or the copy.

    It does not for a bad question, nor for how a replica is, nor where the time was over before
    the first token: a full engine takes copies last, so that says how full it is.

    Args:
        error: How it failed.
        begun: Words had arrived before.
    """
    if not isinstance(error, BackendError):
        return False
    if not begun and isinstance(error, DeadlineExceededError | BackendSilentError):
        return False
    failure = failure_of(error, begun=begun)
    return failure is None or failure.kind in _REVISIONS
