"""Vote: the short answer that has most of the probability, all experts taken together. Pure.

The weight of a choice is the sum, over experts, of the expert's probability from routing times
the probability that the expert gives the choice. On a tie the lead's choice wins. Experts that
cannot change the outcome any longer are stopped.
"""

import math
from collections.abc import Collection

from tame_router.answering.ballot import votes
from tame_router.answering.draft import Draft
from tame_router.answering.event import ExpertFinish, Part, Tally, TallyEntry
from tame_router.answering.happening import Command, Happening, Stop
from tame_router.answering.roster import NOT_WAITED_FOR, Roster
from tame_router.backends.backend import Piece
from tame_router.chat import FinishReason

_TIE = 1e-9
"""Weights that differ by less are equal: they are sums in another order."""


class Vote:
    """Makes one answer of the most probable choice.

    Args:
        roster: The steps, the lead first.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._drafts = [Draft() for _ in roster.experts]
        self._ballots: dict[int, dict[str, float]] = {}
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
        """Keep what is written, and count when nothing can change the outcome."""
        roster, draft = self._roster, self._drafts[index]
        if isinstance(happening, Piece):
            told = roster.keep(index, draft, happening)
            return told if index in roster.open else told + self._go_on()
        told = [roster.over(index, happening)]
        if index in roster.finished:
            self._ballots[index] = dict(votes(draft.said, draft.logprobs))
        return told + self._go_on()

    def outcome(self) -> FinishReason:
        """Say why the winner's answer ended.

        Raises:
            TameError: When no expert answered.
        """
        reason = self._roster.reason()
        if self._winner is None:
            return reason
        finish = self._roster.finished.get(self._winner)
        return finish.finish_reason if finish else FinishReason.LENGTH

    def _go_on(self) -> list[Command]:
        roster = self._roster
        weights = self._weights()
        late = roster.open.copy()
        if late and not self._settled(weights):
            return []
        told: list[Command] = []
        for index in late:
            message = "its answer cannot change the outcome"
            told += [Stop(index), roster.stop(index, NOT_WAITED_FOR, message)]
        return told + self._count(weights)

    def _weights(self) -> dict[str, float]:
        weights: dict[str, float] = {}
        for index, ballot in sorted(self._ballots.items()):
            for choice, probability in ballot.items():
                share = self._roster.steps[index].probability * probability
                weights[choice] = weights.get(choice, 0.0) + share
        return weights

    def _settled(self, weights: dict[str, float]) -> bool:
        """Tell whether those who have not answered could still change who wins."""
        if not weights:
            return False
        first, *others = sorted(weights.values(), reverse=True)
        rest = math.fsum(self._roster.steps[i].probability for i in self._roster.open)
        return first > (others[0] if others else 0.0) + rest + _TIE

    def _count(self, weights: dict[str, float]) -> list[Command]:
        """Give the tally and the winner's words; nothing where nobody answered."""
        roster = self._roster
        voters = sorted(self._ballots)
        if not voters:
            return []
        most = max(weights.values(), default=0.0)
        best = [i for i in voters if weights.get(self._own(i), -1.0) >= most - _TIE]
        # Where the heaviest choice is nobody's own, the first expert's stands; where those who
        # finished said nothing, what another said before it broke off.
        said = [i for i in roster.experts if not self._drafts[i].blank]
        said.sort(key=lambda i: i not in self._ballots)
        self._winner = winner = (best or said or voters)[0]
        total = math.fsum(weights.values()) or 1.0
        entries = [
            TallyEntry(
                choice=choice,
                experts=tuple(
                    roster.steps[i].expert.name for i in voters if self._own(i) == choice
                ),
                weight=weight / total,
            )
            for choice, weight in sorted(weights.items(), key=lambda item: -item[1])
        ]
        draft = self._drafts[winner]
        words = Piece(text=draft.text, tool_calls=draft.tool_calls)
        told: list[Command] = [
            Tally(expert=roster.steps[winner].expert.name, entries=tuple(entries))
        ]
        if words.text or words.tool_calls:
            told.append(roster.delta(winner, words, Part.JOINED))
        return told

    def _own(self, index: int) -> str:
        """Give the choice that an expert wrote; empty: none."""
        return next(iter(self._ballots[index]), "")
