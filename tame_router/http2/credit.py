"""What a peer may send: a window that it fills, and that is opened again as its bytes are read."""

from tame_router.http2.frame import ConnectionFault, ErrorCode


class Credit:
    """The window of a stream, or of a connection.

    Args:
        window: Bytes that may be under way, unread.
        share: Bytes read after which the peer is told; telling it at each would cost more.
    """

    __slots__ = ("_owed", "_share", "_taken", "_window")

    def __init__(self, window: int, share: int) -> None:
        self._window = window
        self._share = share
        self._taken = 0  # of the window, and not given back
        self._owed = 0  # of that, read, and the peer not told

    def take(self, size: int) -> None:
        """Count bytes that came.

        Raises:
            ConnectionFault: When they are more than the peer may send.
        """
        self._taken += size
        if self._taken > self._window:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more data than the window")

    def read(self, size: int) -> int:
        """Count bytes that were read, and give how many more the peer is to be told to send."""
        self._owed += size
        if self._owed < self._share:
            return 0
        owed, self._owed = self._owed, 0
        self._taken -= owed
        return owed
