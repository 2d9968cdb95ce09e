"""How long an answer is waited for: the caller's deadline, and a backend's silence.

All points are on the event loop's clock, in seconds.
"""

import math

import msgspec

from tame_router.backends.backend import RETRY_AFTER_S, Generation
from tame_router.errors import BackendSilentError, DeadlineExceededError, TameError


class Patience(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The limits of one generation.

    Attributes:
        begun: When the generation was asked for.
        deadline: The caller's; infinity where there is none.
        begin_by: The point by which that lets the first words come; no later than it.
        first_token_timeout_s: Longest wait from `begun` to the first words.
        stall_timeout_s: Longest silence after them.
        impatient_first: The first of these two is shorter than the backend's own limit.
        impatient_after: The second is.
    """

    begun: float
    deadline: float
    begin_by: float
    first_token_timeout_s: float
    stall_timeout_s: float
    impatient_first: bool = False
    impatient_after: bool = False

    @classmethod
    def of(
        cls,
        generation: Generation,
        *,
        now: float,
        first_token_timeout_s: float,
        stall_timeout_s: float,
    ) -> "Patience":
        """Begin to wait now.

        Args:
            generation: What is asked, with limits of its own.
            now: When.
            first_token_timeout_s: The backend's own limit.
            stall_timeout_s: Likewise.

        Raises:
            DeadlineExceededError: When the deadline has passed.
        """
        deadline = math.inf if generation.deadline is None else generation.deadline
        begin_by = deadline if generation.begin_by is None else generation.begin_by
        begin_by = begin_by if begin_by < deadline else deadline
        if begin_by <= now:
            raise too_late()
        first_s = _shorter(first_token_timeout_s, generation.first_token_timeout_s)
        stall_s = _shorter(stall_timeout_s, generation.stall_timeout_s)
        return cls(
            begun=now,
            deadline=deadline,
            begin_by=begin_by,
            first_token_timeout_s=first_s,
            stall_timeout_s=stall_s,
            impatient_first=first_s < first_token_timeout_s,
            impatient_after=stall_s < stall_timeout_s,
        )

    def until(self, last_words: float | None) -> float:
        """Tell when to stop waiting.

        Args:
            last_words: When something of the answer last arrived; None: nothing has yet.
        """
        if last_words is None:
            return min(self.begin_by, self.begun + self.first_token_timeout_s)
        return min(self.deadline, last_words + self.stall_timeout_s)

    def error(self, last_words: float | None) -> TameError:
        """Give the error for having waited until then."""
        until = self.until(last_words)
        if until >= self.deadline:
            return too_late()
        if last_words is None:
            if until >= self.begin_by:
                return DeadlineExceededError(
                    "nothing of the answer had come when the part of the deadline was over in"
                    " which it has to begin; allow more time"
                )
            error = BackendSilentError(
                f"the backend sent nothing of the answer for {self.first_token_timeout_s:g} s"
                " (first_token_timeout_s); it is overloaded or stuck: try again",
                retry_after_s=RETRY_AFTER_S,
            )
            error.impatient = self.impatient_first
            return error
        error = BackendSilentError(
            f"the backend went silent in the middle of the answer for {self.stall_timeout_s:g} s"
            " (stall_timeout_s); it is overloaded or stuck: try again",
            retry_after_s=RETRY_AFTER_S,
        )
        error.impatient = self.impatient_after
        return error


def too_late() -> DeadlineExceededError:
    """Give the error for a deadline that has passed."""
    return DeadlineExceededError(
        "the deadline passed before the answer was finished; allow more time, or ask for fewer"
        " tokens"
    )


def _shorter(own_s: float, asked_s: float | None) -> float:
    return own_s if asked_s is None else min(own_s, asked_s)
