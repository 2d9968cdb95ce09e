"""Files that are read again when they change, and kept as they were when that fails."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from tame_router.errors import ConfigError
from tame_router.telemetry import log

LOOK_S = 1.0
"""Time between looks at the files, at least; nothing looks while nobody asks."""

Read = TypeVar("Read")


class WatchedFiles(Generic[Read]):
    """What some files say, as they are now; may be asked from any thread.

    Args:
        paths: The files.
        read: Reads them; raises `ConfigError` when they cannot be used.
        clock: Seconds on any steady clock.

    Raises:
        ConfigError: When they cannot be used at first.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        read: Callable[[], Read],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths = tuple(paths)
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        # Looked at before they are read: what changes in between is seen the next time.
        self._stamps = self._look()
        self._value = read()
        self._next_look = clock() + LOOK_S

    def current(self) -> Read:
        """Give what the files say; while they cannot be used, what they said before."""
        if self._clock() >= self._next_look:
            with self._lock:
                self._look_again()
        return self._value

    def _look_again(self) -> None:
        now = self._clock()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_S
        stamps = self._look()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        files = [str(path) for path in self._paths]
        try:
            self._value = self._read()
        except ConfigError as error:
            log.event(logging.ERROR, "files.refused", files=files, because=error.message)
        else:
            log.event(logging.INFO, "files.reloaded", files=files)

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in self._paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
