"""Where a connection's bytes leave: a status waits there for the first words behind it.

Each write is a call of the system, and wakes the caller: a status by itself tells it nothing.
"""

import asyncio
from typing import Any


class Outlet(asyncio.Transport):
    """A transport that can keep one write back, until the next.

    Args:
        transport: Where bytes go.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._holding = False
        self._held = b""

    def hold(self) -> None:
        """Keep the next write back; it leaves with the one after it, or when this is closed."""
        self._holding = True

    def write(self, data: Any) -> None:
        """Write bytes, behind those that were kept back."""
        if self._holding:
            self._holding, self._held = False, data
        elif self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Write what was kept back, and close."""
        self._holding = False
        if self._held:
            self.write(b"")
        self._transport.close()

    def is_closing(self) -> bool:
        """Tell whether it closes, or is closed."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Read nothing further for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell of the socket, or of TLS."""
        return self._transport.get_extra_info(name, default)

    def abort(self) -> None:
        """Close at once; what was kept back is lost, as all that is under way."""
        self._transport.abort()
