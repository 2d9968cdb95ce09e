"""Best of: the experts' drafts are ranked, and the best one is the answer. Pure.

A judge ranks them, where one is configured; otherwise, and where its verdict cannot be read,
the draft whose tokens were the most probable wins. On a tie the first does. Where none is
finished, those that met their time are ranked as far as they are.
"""

import json
from collections.abc import Collection

from tame_router.answering.ballot import confidence
from tame_router.answering.draft import Draft
from tame_router.answering.event import ExpertFinish, Part, Tally, TallyEntry
from tame_router.answering.happening import Command, Happening
from tame_router.answering.roster import UNREADABLE, Roster
from tame_router.answering.writing import judge_step
from tame_router.backends.backend import Piece
from tame_router.chat import FinishReason, Message


class BestOf:
    """Makes one answer of the best draft.

    Args:
        roster: The steps, the lead first.
        messages: The conversation, for the judge.
        documents: How many documents it came with.
    """

    def __init__(self, roster: Roster, messages: tuple[Message, ...], documents: int = 0) -> None:
        self._roster = roster
        self._messages = messages
        self._documents = documents
        self._drafts = [Draft() for _ in roster.experts]
        self._verdict = Draft()
        self._judged: list[int] = []
        self._winner: int | None = None

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
        """Keep drafts, and rank them when there are no more."""
        roster = self._roster
        if index not in roster.experts:
            return self._take_verdict(index, happening)
        if not isinstance(happening, Piece):
            return [roster.over(index, happening), *self._go_on()]
        told = roster.keep(index, self._drafts[index], happening)
        return told if index in roster.open else told + self._go_on()

    def outcome(self) -> FinishReason:
        """Say why the winner's draft ended.

        Raises:
            TameError: When no expert finished one, and none met its time with words.
        """
        if self._winner is None:
            return self._roster.reason()
        finish = self._roster.finished.get(self._winner)
        return finish.finish_reason if finish else FinishReason.LENGTH

    def _go_on(self) -> list[Command]:
        roster = self._roster
        if roster.experts_open:
            return []
        whole = [i for i in roster.experts if i in roster.finished]
        said = [i for i in roster.experts if not self._drafts[i].blank]
        if not whole and not roster.cut.intersection(said):
            return []
        # A blank draft is the best one of nobody; what broke off is better than nothing.
        whole = [i for i in said if i in roster.finished] or said or whole
        if not roster.plan.judged or len(whole) == 1:
            return self._rank(whole)
        self._judged = whole
        drafts = [(roster.title(i), self._drafts[i].text) for i in whole]
        step = judge_step(
            roster.plan.writer, self._messages, drafts, roster.language, self._documents
        )
        return list(roster.ask(step))

    def _take_verdict(self, index: int, happening: Happening) -> list[Command]:
        if isinstance(happening, Piece):
            self._verdict.add(happening)
            return []
        told: list[Command] = [self._roster.over(index, happening)]
        best = read_verdict(self._verdict.text, len(self._judged))
        if best is None:
            if index in self._roster.finished:
                message = "the judge's verdict cannot be read; log-probabilities rank the drafts"
                told.append(self._roster.remark(index, UNREADABLE, message))
            return told + self._rank(self._judged)
        winner = self._judged[best - 1]
        return told + self._give(winner, [(i, float(i == winner)) for i in self._judged])

    def _rank(self, whole: list[int]) -> list[Command]:
        ranked = [(i, confidence(self._drafts[i].logprobs)) for i in whole]
        winner, _ = max(ranked, key=lambda entry: entry[1])
        return self._give(winner, ranked)

    def _give(self, winner: int, ranked: list[tuple[int, float]]) -> list[Command]:
        """Give the ranks, and the winner's words."""
        roster = self._roster
        self._winner = winner
        entries = [
            TallyEntry(choice="", experts=(roster.steps[i].expert.name,), weight=weight)
            for i, weight in sorted(ranked, key=lambda entry: -entry[1])
        ]
        told: list[Command] = [
            Tally(expert=roster.steps[winner].expert.name, entries=tuple(entries))
        ]
        draft = self._drafts[winner]
        words = Piece(text=draft.text, tool_calls=draft.tool_calls)
        if words.text or words.tool_calls:
            told.append(roster.delta(winner, words, Part.JOINED))
        return told


def read_verdict(verdict: str, drafts: int) -> int | None:
    """Read the number of the best draft.

    Args:
        verdict: What a judge wrote.
        drafts: How many there are.

    Returns:
        The number, from 1; None: there is none that counts.
    """
    try:
        value = json.loads(verdict)
    except ValueError:
        return None
    best = value.get("best") if isinstance(value, dict) else None
    return best if isinstance(best, int) and 1 <= best <= drafts else None
