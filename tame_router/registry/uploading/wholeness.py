"""Whether the bytes of a revision that is uploaded again are whole here."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable

from tame_router.errors import RevisionNotFoundError
from tame_router.errors_registry import CorruptRevisionError
from tame_router.registry.storage.revision_store import RevisionStore

BELIEVED_S = 600.0
"""Time for which bytes that were read and found whole are not read again."""


class Wholeness:
    """Reads revisions' bytes: who uploads one again may do so because they were damaged.

    An announcement is short and costs its sender nothing, so a revision is read at most once in
    ten minutes, and by one reader at a time. Damage done within them is mended behind them.

    Args:
        store: Where the bytes are.
        clock: Gives the time in seconds, from any beginning.
    """

    def __init__(self, store: RevisionStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._believed: dict[str, float] = {}
        self._reading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(self, name: str) -> bool:
        """Tell whether a revision is whole.

        Raises:
            StorageUnavailableError: When the bytes cannot be read now.
        """
        async with self._reading[name]:
            if self._clock() < self._believed.get(name, 0.0):
                return await asyncio.to_thread(self._store.contains, name)
            self._believed.pop(name, None)
            whole = await asyncio.to_thread(self._read, name)
            if whole:
                self._believed[name] = self._clock() + BELIEVED_S
            return whole

    def forget(self, name: str) -> None:
        """Believe a revision no longer: its bytes were seen to be damaged."""
        self._believed.pop(name, None)

    def _read(self, name: str) -> bool:
        try:
            self._store.verify(name)
        except (CorruptRevisionError, RevisionNotFoundError):
            return False
        return True
