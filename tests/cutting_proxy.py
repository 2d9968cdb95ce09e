"""A TCP proxy that cuts an event stream: one real server behind two of them is two replicas."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_READ_BYTES: Final = 2**16
_EVENT: Final = b"data: "


class CuttingProxy:
    """Passes bytes on, and breaks one connection when it is told to.

    Args:
        host: Where the server is.
        port: Its port.

    Attributes:
        cut_after: Break the connection that carries so many events from now on; None: none.
        cuts: Connections that were broken.
        beside: Proxies that are not to break any, once this one has.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self.cut_after: int | None = None
        self.cuts = 0
        self.beside: tuple[CuttingProxy, ...] = ()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen on a free port, and give the address of the OpenAI API behind it."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._host, self._port)
        try:
            async with asyncio.TaskGroup() as group:
                up = group.create_task(self._pass_on(reader, there_writer))
                await self._pass_back(there_reader, writer)
                up.cancel()
        except* OSError:
            pass  # one side has gone, and the other is told
        finally:
            writer.close()
            there_writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_READ_BYTES):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_READ_BYTES):
            events = data.count(_EVENT)
            if self.cut_after is not None and events:
                self.cut_after -= events
                if self.cut_after <= 0:
                    for one in (self, *self.beside):
                        one.cut_after = None
                    self.cuts += 1
                    return
            writer.write(data)
            await writer.drain()
