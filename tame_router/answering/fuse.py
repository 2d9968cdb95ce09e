"""Fuse: experts draft side by side, and one answer is written from their drafts. Pure.

The writing begins when a quorum of drafts is finished, or when no other can come. Drafts that
are late are stopped and used as far as they are; each expert has a time limit of its own, and
a draft that meets it is used likewise, even where none is finished.
"""

from collections.abc import Collection

from tame_router.answering.citation import Citations
from tame_router.answering.draft import Draft
from tame_router.answering.event import ExpertFinish, Part
from tame_router.answering.happening import Command, Failed, Happening, Stop
from tame_router.answering.label import references
from tame_router.answering.roster import NOT_WAITED_FOR, Roster
from tame_router.answering.writing import fusion_step
from tame_router.backends.backend import Piece
from tame_router.chat import FinishReason, Message


class Fuse:
    """Makes one answer from drafts.

    Where one draft is all there is, it is the answer; likewise the first, where nobody can
    write from them. What is blank counts as nothing, here as in a quorum.

    Args:
        roster: The steps, the lead first.
        messages: The conversation.
        documents: How many documents it came with.
    """

    def __init__(self, roster: Roster, messages: tuple[Message, ...], documents: int = 0) -> None:
        self._roster = roster
        self._messages = messages
        self._documents = documents
        self._drafts = [Draft() for _ in roster.experts]
        self._used: list[int] = []
        self._answer = Draft()
        self._citations = Citations(0)
        self._given: int | None = None
        self._cut = False

    @property
    def listening(self) -> Collection[int]:
        """Everyone that is not over."""
        return self._roster.open

    @property
    def finishes(self) -> list[ExpertFinish]:
        """How experts ended."""
        return self._roster.finishes

    def begin(self) -> list[Command]:
        """Tell who was asked."""
        return [self._roster.start(index) for index in self._roster.experts]

    def take(self, index: int, happening: Happening) -> list[Command]:
        """Keep drafts, and have the answer written when there are enough of them."""
        roster = self._roster
        if index not in roster.experts:
            return self._take_answer(index, happening)
        if not isinstance(happening, Piece):
            return [roster.over(index, happening), *self._go_on()]
        told = roster.keep(index, self._drafts[index], happening)
        return told if index in roster.open else told + self._go_on()

    def outcome(self) -> FinishReason:
        """Say why the answer that was written ended.

        Raises:
            TameError: When no expert finished a draft, and none met its time with words.
        """
        if self._cut:
            return FinishReason.LENGTH
        given = len(self._roster.plan.steps) if self._given is None else self._given
        finish = self._roster.finished.get(given)
        return finish.finish_reason if finish else self._roster.reason()

    def _go_on(self) -> list[Command]:
        roster = self._roster
        late = roster.experts_open
        whole = [i for i in roster.finished if not self._drafts[i].blank]
        if late and len(whole) < roster.plan.quorum:
            return []
        told: list[Command] = []
        for index in late:
            size = self._drafts[index].size
            message = f"enough drafts were finished; {size} characters of this one are used"
            told += [Stop(index), roster.stop(index, NOT_WAITED_FOR, message)]
        self._used = [i for i in roster.experts if not self._drafts[i].blank]
        if not roster.finished and not roster.cut.intersection(self._used):
            return told
        if len(self._used) < 2:
            return told + self._instead()
        self._citations = Citations(len(self._used))
        drafts = [(roster.title(i), self._drafts[i].text) for i in self._used]
        step = fusion_step(
            roster.plan.writer, self._messages, drafts, roster.language, self._documents
        )
        return [*told, *roster.ask(step)]

    def _instead(self) -> list[Command]:
        """Give a draft as the answer: of those that are whole the lead's, or the next.

        Where none is, what there is of one stands.
        """
        roster = self._roster
        whole = [i for i in self._used if i in roster.finished]
        self._given = next(iter(whole or self._used), None)
        if self._given is None:
            return []
        self._cut = not whole
        words = Piece(text=self._drafts[self._given].text)
        return [roster.delta(self._given, words, Part.JOINED)]

    def _take_answer(self, index: int, happening: Happening) -> list[Command]:
        roster, answer = self._roster, self._answer
        if isinstance(happening, Piece):
            return self._say(index, self._citations.feed(happening.text))
        told = self._say(index, self._citations.end())
        if not answer.blank:
            self._cut = isinstance(happening, Failed)
            titles = [roster.title(i) for i in self._used]
            told.append(roster.label(index, references(titles)))
        told.append(roster.over(index, happening))
        return told + self._instead() if answer.blank else told

    def _say(self, index: int, text: str) -> list[Command]:
        """Hand on what was written; white space alone is held until it stands before words."""
        answer = self._answer
        if answer.blank:
            answer.add(Piece(text=text))
            text = "" if answer.blank else answer.text
        return [self._roster.delta(index, Piece(text=text))] if text else []
