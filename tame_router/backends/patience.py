"""How long an answer is waited for: the caller's deadline, and a backend's silence.

All points are on the event loop's clock, in seconds.
"""

import math
from dataclasses import dataclass

from tame_router.backends.refusal import RETRY_AFTER_S
from tame_router.errors import BackendSilentError, DeadlineExceededError, TameError


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """The limits of one generation.

    Attributes:
        begun: When the generation was asked for.
        deadline: The caller's; infinity where there is none.
        first_token_timeout_s: Longest wait from `begun` to the first words.
        stall_timeout_s: Longest silence after them.
    """

    begun: float
    deadline: float
    first_token_timeout_s: float
    stall_timeout_s: float

    @classmethod
    def of(
        cls,
        *,
        deadline: float | None,
        now: float,
        first_token_timeout_s: float,
        stall_timeout_s: float,
    ) -> "Patience":
        """Begin to wait now.

        Raises:
            DeadlineExceededError: When the deadline has passed.
        """
        if deadline is not None and deadline <= now:
            raise too_late()
        return cls(
            begun=now,
            deadline=math.inf if deadline is None else deadline,
            first_token_timeout_s=first_token_timeout_s,
            stall_timeout_s=stall_timeout_s,
        )

    def until(self, last_words: float | None) -> float:
        """Tell when to stop waiting.

        Args:
            last_words: When something of the answer last arrived; None: nothing has yet.
        """
        if last_words is None:
            return min(self.deadline, self.begun + self.first_token_timeout_s)
        return min(self.deadline, last_words + self.stall_timeout_s)

    def error(self, last_words: float | None) -> TameError:
        """Give the error for having waited until then."""
        if self.until(last_words) >= self.deadline:
            return too_late()
        if last_words is None:
            return BackendSilentError(
                f"the backend sent nothing of the answer for {self.first_token_timeout_s:g} s"
                " (first_token_timeout_s); it is overloaded or stuck: try again",
                retry_after_s=RETRY_AFTER_S,
            )
        return BackendSilentError(
            f"the backend went silent in the middle of the answer for {self.stall_timeout_s:g} s"
            " (stall_timeout_s); it is overloaded or stuck: try again",
            retry_after_s=RETRY_AFTER_S,
        )


def shorter(own_s: float, asked_s: float | None) -> float:
    """Give the shorter of a backend's own limit and one generation's; None: it has none."""
    return own_s if asked_s is None else min(own_s, asked_s)


def too_late() -> DeadlineExceededError:
    """Give the error for a deadline that has passed."""
    return DeadlineExceededError(
        "the deadline passed before the answer was finished; allow more time, or ask for fewer"
        " tokens"
    )
