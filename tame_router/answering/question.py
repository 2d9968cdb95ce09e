"""A question on its way through the router."""

from dataclasses import dataclass, field

from tame_router.chat import Message, Sampling
from tame_router.routing.decision import Constraints


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A checked request for an answer.

    Attributes:
        answer_id: Names the answer everywhere.
        messages: The conversation, oldest first; the last is the user's.
        constraints: The caller's wishes about who answers.
        sampling: The caller's values; None leaves them to the expert.
        deadline: Point on the event loop's clock, in seconds; None: no deadline.
    """

    answer_id: str
    messages: tuple[Message, ...]
    constraints: Constraints = field(default_factory=Constraints)
    sampling: Sampling = field(default_factory=Sampling)
    deadline: float | None = None
