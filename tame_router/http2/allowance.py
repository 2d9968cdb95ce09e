"""What a peer may have done for nothing: frames that cost us work and it next to none."""

from collections.abc import Callable
from typing import Final

from tame_router.http2.frame import ConnectionFault, ErrorCode

MOST: Final = 2_000
"""Such frames in one go."""

PER_SECOND: Final = 200
"""And in the long run."""

PING: Final = 10
"""What a ping counts: it has to be answered."""

EARNED: Final = PING + 2
"""What a frame that is sent to the peer lets it send."""


class Allowance:
    """Counts pings, settings, resets, empty frames and the like of one connection.

    Args:
        clock: Seconds on any steady clock.
    """

    __slots__ = ("_clock", "_left", "_since")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = float(MOST)
        self._since = clock()

    def take(self, frames: int = 1) -> None:
        """Count frames.

        Args:
            frames: How many; a ping counts as several.

        Raises:
            ConnectionFault: When it is too much.
        """
        self._left -= frames
        if self._left < 0:
            now = self._clock()
            self._left = min(MOST, self._left + (now - self._since) * PER_SECOND)
            self._since = now
            if self._left < 0:
                raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too_many_frames")

    def give(self, frames: int) -> None:
        """Take note of what was sent to the peer: it answers with such frames.

        With two windows and a ping at most: clients in Go so measure the line while they read.
        """
        self._left = min(MOST, self._left + frames * EARNED)
