"""What an answer of several experts is made of, as the SDK gives it."""

import enum
from dataclasses import dataclass
from datetime import timedelta


class Part(enum.StrEnum):
    """What an expert's words are to the answer."""

    LEAD = "lead"
    """The lead expert's own words."""
    EXPERT = "expert"
    """Another expert's own words."""
    OPINION = "opinion"
    """What others add to the lead's words or dispute."""
    JOINED = "joined"
    """Words made, or chosen, from the experts' drafts."""
    DRAFT = "draft"
    """A draft: no part of the answer."""
    JUDGE = "judge"
    """The verdict on drafts: no part of the answer, and never sent."""
    LABEL = "label"
    """Headings and lists of references, by the router itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """What one of several experts was given.

    Attributes:
        expert: Name of the expert.
        part: What its words are to the answer.
        max_tokens: Most tokens it may write; None: as it does by itself.
        time: Time it has, from the decision; None: no limit of the caller's.
    """

    expert: str
    part: Part
    max_tokens: int | None = None
    time: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """New characters of a draft, which are no part of the answer."""

    expert: str
    revision: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """An expert left, or was not waited for; its words so far stand.

    Attributes:
        expert: Name of the expert.
        revision: Its adapter revision; empty: the base model without adapter.
        part: What its words are to the answer.
        reason: Why, in UPPER_SNAKE.
        message: The same for a person.
    """

    expert: str
    revision: str
    part: Part
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TallyEntry:
    """The weight of one choice of a vote, or of one draft."""

    choice: str
    experts: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How experts' answers were weighed: whose words won, and the entries, the heaviest first."""

    expert: str
    entries: tuple[TallyEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPart:
    """What one expert said."""

    expert: str
    revision: str
    part: Part
    content: str
