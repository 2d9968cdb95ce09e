"""Streams that wait for room: woken in turn, and no more of them than there is room for."""

from tame_router.http2.stream import Stream


class Waiting:
    """The streams of one connection that wait."""

    __slots__ = ("_streams",)

    def __init__(self) -> None:
        self._streams: dict[Stream, None] = {}

    def add(self, stream: Stream) -> None:
        """Have a stream woken when there is room."""
        self._streams[stream] = None

    def drop(self, stream: Stream) -> None:
        """Forget a stream."""
        self._streams.pop(stream, None)

    def clear(self) -> None:
        """Forget all."""
        self._streams.clear()

    def wake(self, room: int) -> None:
        """Let streams look again.

        All of them for each byte that a peer makes room for would be work for nothing.

        Args:
            room: Bytes that they may send together.
        """
        for stream in list(self._streams) if room > 0 else ():
            if stream.window > 0:
                del self._streams[stream]
                stream.wake()
                room -= min(stream.window, stream.wanted)
                if room <= 0:
                    break
