"""Which revisions one replica is to have, and which it has shown to have: a ledger.

No clock and no socket: what was prepared, what was refused and when comes in. The ledger is of
one process: whoever sees that the replica failed, and so may have been started anew, clears it.
"""

from typing import Final

REFUSED_S: Final = 20.0
"""How long a revision that a replica refused is not tried again by itself; shorter than it is
believed not to have it (`standing.ABSENT_S`), so that no answer goes there in between."""


class ReplicaAdapters:
    """The revisions of one replica.

    Attributes:
        wanted: Those that it is to have before it gets answers.
    """

    __slots__ = ("_prepared", "_refused", "wanted")

    def __init__(self) -> None:
        self.wanted: frozenset[str] = frozenset()
        self._prepared: set[str] = set()
        self._refused: dict[str, float] = {}

    def has(self, revision: str) -> bool:
        """Tell whether it answered under that name since it was last seen to fail."""
        return not revision or revision in self._prepared

    def prepared(self, revision: str) -> None:
        """Take note that it answered under that name."""
        if revision:
            self._prepared.add(revision)
            self._refused.pop(revision, None)

    def refused(self, revision: str, now: float) -> None:
        """Take note that it does not answer under that name."""
        self._prepared.discard(revision)
        self._refused = {name: until for name, until in self._refused.items() if until > now}
        self._refused[revision] = now + REFUSED_S

    def missing(self, now: float) -> tuple[str, ...]:
        """Give those that it is to have, has not, and did not refuse lately, in order."""
        return tuple(
            sorted(
                name
                for name in self.wanted
                if not self.has(name) and self._refused.get(name, now) <= now
            )
        )

    def forget(self) -> None:
        """Take note that it failed: what answers next may be another process."""
        self._prepared.clear()
        self._refused.clear()
