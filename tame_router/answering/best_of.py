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
from tame_router.answering.happening import Command, Happening, Stop
from tame_router.answering.plan import JUDGE_CHARS
from tame_router.answering.roster import TOO_LONG, UNREADABLE, Roster
from tame_router.answering.writing import judge_step
from tame_router.backends.backend import Piece
from tame_router.chat import FinishReason, Message

_INSTEAD = "log-probabilities rank the drafts"


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
        if not roster.plan.judged or len(whole) == 1 or not said:
            return self._rank(whole)
        self._judged = whole
        drafts = [(roster.title(i), _shown(self._drafts[i])) for i in whole]
        step = judge_step(
            roster.plan.writer, self._messages, drafts, roster.language, self._documents
        )
        return list(roster.ask(step))

    def _take_verdict(self, index: int, happening: Happening) -> list[Command]:
        roster, verdict = self._roster, self._verdict
        if isinstance(happening, Piece):
            verdict.add(happening)
            if verdict.size <= JUDGE_CHARS:
                return []
            message = f"the judge wrote on after {JUDGE_CHARS} characters; {_INSTEAD}"
            left = roster.stop(index, TOO_LONG, message)
            return [Stop(index), left, *self._rank(self._judged)]
        told: list[Command] = [roster.over(index, happening)]
        best = read_verdict(verdict.text, len(self._judged))
        if best is None:
            if index in roster.finished:
                message = f"the judge's verdict cannot be read; {_INSTEAD}"
                told.append(roster.remark(index, UNREADABLE, message))
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


def _shown(draft: Draft) -> str:
    """Give a draft as the judge reads it: its words, and the calls it wants made."""
    return f"{draft.text}\n{draft.said}".strip() if draft.tool_calls else draft.text


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
    if not isinstance(best, int) or isinstance(best, bool):  # `true` is a number to Python
        return None
    return best if 1 <= best <= drafts else None
