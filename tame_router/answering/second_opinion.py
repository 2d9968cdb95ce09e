"""Second opinion: the lead's words stream, then what others add to them or dispute. Pure."""

from collections.abc import Collection

from tame_router.answering.draft import Draft
from tame_router.answering.event import ExpertFinish, Part
from tame_router.answering.happening import Command, Happening
from tame_router.answering.label import heading, opinion_heading
from tame_router.answering.roster import Roster
from tame_router.answering.writing import opinion_step
from tame_router.backends.backend import Piece
from tame_router.chat import FinishReason, Message

_LEAD = 0


class SecondOpinion:
    """Makes one answer of the lead's words and an opinion on them.

    Where the lead fails, or writes nothing, the others' drafts are the answer.

    Args:
        roster: The steps, the lead first.
        messages: The conversation.
        documents: How many documents it came with.
    """

    def __init__(self, roster: Roster, messages: tuple[Message, ...], documents: int = 0) -> None:
        self._roster = roster
        self._messages = messages
        self._documents = documents
        self._texts = [Draft() for _ in roster.experts]
        self._opinion = Draft()
        self._others: list[int] = []
        self._cut = False

    @property
    def listening(self) -> Collection[int]:
        """Everyone that is not over, the lead first."""
        return self._roster.open

    @property
    def finishes(self) -> list[ExpertFinish]:
        """How experts ended."""
        return self._roster.finishes

    def begin(self) -> list[Command]:
        """Tell who was asked."""
        return [self._roster.start(index) for index in self._roster.experts]

    def take(self, index: int, happening: Happening) -> list[Command]:
        """Send the lead's words, keep the others', and have the opinion written at their end."""
        roster = self._roster
        if index not in roster.experts:
            return self._take_opinion(index, happening)
        if not isinstance(happening, Piece):
            return [roster.over(index, happening), *self._go_on()]
        draft = self._texts[index]
        if index == _LEAD:
            if draft.size <= roster.plan.most_chars:
                draft.add(happening)
            return [roster.delta(index, happening)]
        told = roster.keep(index, draft, happening)
        return told if index in roster.open else told + self._go_on()

    def outcome(self) -> FinishReason:
        """Say why the first expert that finished ended.

        Raises:
            TameError: When none did.
        """
        reason = self._roster.reason()
        return FinishReason.LENGTH if self._cut else reason

    def _go_on(self) -> list[Command]:
        """Go on where all experts are over: with the opinion, or with what stands in its place."""
        roster = self._roster
        if roster.experts_open:
            return []
        if not roster.finished:
            return []
        said = [i for i in roster.experts if i != _LEAD and not self._texts[i].blank]
        self._others = others = [i for i in said if i in roster.finished]
        lead = self._texts[_LEAD]
        if _LEAD in roster.finished and not lead.blank:
            return self._ask(lead.text) if others else []
        told: list[Command] = []
        if lead.blank and not others:
            # Nobody finished with words: those there are stand, as if cut short.
            others, self._cut = said, bool(said)
        for index in others:
            line = heading(roster.title(index), roster.language, first=not told and lead.blank)
            words = Piece(text=self._texts[index].text)
            told += [roster.label(index, line), roster.delta(index, words, Part.EXPERT)]
        return told

    def _ask(self, lead: str) -> list[Command]:
        """Have the opinion on the lead's words written."""
        roster = self._roster
        drafts = [(roster.title(i), self._texts[i].text) for i in self._others]
        step = opinion_step(
            roster.plan.writer, self._messages, lead, drafts, roster.language, self._documents
        )
        return list(roster.ask(step))

    def _take_opinion(self, index: int, happening: Happening) -> list[Command]:
        roster, opinion = self._roster, self._opinion
        if not isinstance(happening, Piece):
            return [roster.over(index, happening)]
        if not opinion.blank:
            return [roster.delta(index, happening)]
        opinion.add(happening)
        if opinion.blank:
            return []
        titles = [roster.title(i) for i in self._others]
        line = opinion_heading(titles, roster.language)
        return [roster.label(index, line), roster.delta(index, Piece(text=opinion.text))]
