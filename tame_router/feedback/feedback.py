"""What a person said about the choice of an expert, and about the answer."""

import enum
from dataclasses import dataclass, field
from datetime import datetime

from tame_router.teaching.line import LONGEST_LINE_CHARS

LONGEST_COMMENT_CHARS = 2_000
LONGEST_QUESTION_CHARS = LONGEST_LINE_CHARS
"""A longer question could never become a teaching line."""


class State(enum.StrEnum):
    """What became of feedback; a person decides, once."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class Rating(enum.StrEnum):
    """What a person says of an answer."""

    NONE = ""
    """Nothing."""
    GOOD = "good"
    """It is good."""
    BAD = "bad"
    """It is bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One person's word on one answer.

    Attributes:
        feedback_id: Names it.
        answer_id: The answer it is about.
        expert: Who should have answered.
        comment: What the person had to say; may be empty.
        question: The question as it was asked; empty: the caller did not send it.
        create_time: When it was stored, in UTC, to the microsecond.
        request_id: The caller's name for the submission; empty: none.
        tenant: Name of the tenant that gave it; empty: an earlier version stored it.
        state: What became of it.
        review_time: When that was decided; None: it is pending.
        rating: How the answer was.
    """

    feedback_id: str
    answer_id: str
    expert: str
    comment: str = field(default="", repr=False)
    question: str = field(default="", repr=False)
    create_time: datetime
    request_id: str = ""
    tenant: str = ""
    state: State = State.PENDING
    review_time: datetime | None = None
    rating: Rating = Rating.NONE

    def repeats(self, other: "Feedback") -> bool:
        """Tell whether the caller says the same as in other feedback."""
        return self._words() == other._words()

    def _words(self) -> tuple[str, ...]:
        return (self.answer_id, self.expert, self.comment, self.question, self.rating)
