"""Panel: each expert's answer is a part of its own. Pure.

Lead first, only the part that is being sent is listened to: what the others write meanwhile
waits where it arrives, and follows at once. Interleaved, all are listened to.
"""

from collections.abc import Collection

from tame_router.answering.event import ExpertFinish
from tame_router.answering.happening import Command, Happening
from tame_router.answering.label import heading
from tame_router.answering.roster import Roster
from tame_router.backends.backend import Piece
from tame_router.chat import FinishReason
from tame_router.routing.decision import Order


class Panel:
    """Makes one answer of labelled parts.

    Args:
        roster: The steps.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._mixed = roster.plan.order is Order.INTERLEAVED
        self._headed: set[int] = set()

    @property
    def listening(self) -> Collection[int]:
        """The part that is being sent, or all of them."""
        return self._roster.open if self._mixed else self._roster.open[:1]

    @property
    def finishes(self) -> list[ExpertFinish]:
        """How experts ended."""
        return self._roster.finishes

    def begin(self) -> list[Command]:
        """Tell who was asked: all, or the one whose part comes first."""
        return [self._roster.start(index) for index in self.listening]

    def take(self, index: int, happening: Happening) -> list[Command]:
        """Send words under their heading, and go on to the next part at the end of one."""
        roster = self._roster
        if isinstance(happening, Piece):
            delta = roster.delta(index, happening)
            if self._mixed or index in self._headed:
                return [delta]
            first = not self._headed
            self._headed.add(index)
            line = heading(roster.title(index), roster.language, first=first)
            return [roster.label(index, line), delta]
        told: list[Command] = [roster.over(index, happening)]
        if not self._mixed:
            told += [roster.start(following) for following in self.listening]
        return told

    def outcome(self) -> FinishReason:
        """Say why the first part that was finished ended.

        Raises:
            TameError: When none was.
        """
        return self._roster.reason()
