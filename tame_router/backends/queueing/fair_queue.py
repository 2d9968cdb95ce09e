"""Who is next: by priority, and among equals so that each tenant gets its share. Pure.

Start-time fair queueing: an answer is tagged with the moment at which its tenant would have had
its share of everything before it, and the lowest tag is next. A tenant that asks for much waits
behind its own answers; one that asks for little finds its first one near the front.

Source: Goyal, Vin, Cheng, "Start-time Fair Queueing", SIGCOMM 1996.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, order=True)
class Turn(Generic[Item]):
    """A place in the queue.

    Attributes:
        start: Its tag: how much its tenant, and the queue, had when it came.
        number: Counts up: of equal tags the first that came is first.
        priority: Its priority.
        tenant: Whose it is.
        item: What waits.
    """

    start: float
    number: int
    priority: int = field(compare=False)
    tenant: str = field(compare=False)
    item: Item = field(compare=False)


class _Class(Generic[Item]):
    """What waits with one priority."""

    __slots__ = ("finishes", "reached", "turns")

    def __init__(self) -> None:
        self.turns: list[Turn[Item]] = []
        self.reached = 0.0
        self.finishes: dict[str, float] = {}

    def start(self, tenant: str) -> float:
        """Give the tag that an answer of a tenant would get."""
        return max(self.reached, self.finishes.get(tenant, 0.0))


class FairQueue(Generic[Item]):
    """What waits, in the order of its turns."""

    def __init__(self) -> None:
        self._classes: dict[int, _Class[Item]] = {}
        self._order: list[int] = []
        self._tenants: dict[str, int] = {}
        self._number = 0
        self._length = 0

    def __len__(self) -> int:
        """Tell how many wait."""
        return self._length

    def waits(self, tenant: str) -> int:
        """Tell how much of a tenant's waits."""
        return self._tenants.get(tenant, 0)

    def ahead(self, tenant: str, priority: int) -> int:
        """Tell how many would be before the next of a tenant."""
        before = 0
        for level in self._order:
            if level < priority:
                break
            waiting = self._classes[level]
            if level > priority:
                before += len(waiting.turns)
            else:
                tag: Turn[Item | None] = Turn(
                    waiting.start(tenant), self._number, level, tenant, None
                )
                before += bisect_left(waiting.turns, tag)
        return before

    def put(self, tenant: str, priority: int, cost: float, item: Item) -> Turn[Item]:
        """Let something wait.

        Args:
            tenant: Whose it is.
            priority: Higher goes before lower, always.
            cost: What it uses of the tenant's share, divided by the tenant's weight; > 0.
            item: What waits.
        """
        if priority not in self._classes:
            self._classes[priority] = _Class()
            self._order = sorted(self._classes, reverse=True)
        waiting = self._classes[priority]
        start = waiting.start(tenant)
        waiting.finishes[tenant] = start + cost
        turn = Turn(start, self._number, priority, tenant, item)
        self._tenants[tenant] = self._tenants.get(tenant, 0) + 1
        self._number += 1
        self._length += 1
        insort(waiting.turns, turn)
        return turn

    def pop(self) -> Item:
        """Take out who is next.

        Raises:
            IndexError: When nobody waits.
        """
        if not self._order:
            raise IndexError("nobody waits")
        waiting = self._classes[self._order[0]]
        turn = waiting.turns.pop(0)
        waiting.reached = turn.start
        self._left(turn)
        return turn.item

    def discard(self, turn: Turn[Item]) -> None:
        """Take out what does not want to wait any longer, if it still does.

        Its share stays used, so that asking and leaving does not bring anybody forward.
        """
        waiting = self._classes.get(turn.priority)
        if waiting is None:
            return
        place = bisect_left(waiting.turns, turn)
        if place < len(waiting.turns) and waiting.turns[place] is turn:
            del waiting.turns[place]
            self._left(turn)

    def _left(self, turn: Turn[Item]) -> None:
        """Forget who had how much once nobody waits: then there is nothing to share."""
        self._length -= 1
        self._tenants[turn.tenant] -= 1
        if not self._tenants[turn.tenant]:
            del self._tenants[turn.tenant]
        if not self._classes[turn.priority].turns:
            del self._classes[turn.priority]
            self._order.remove(turn.priority)
