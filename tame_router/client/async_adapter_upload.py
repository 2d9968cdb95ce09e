"""Uploads of an asyncio program: threads read the files and send them.

`grpc.aio` tells whoever is sending when a call ends that there was an internal error, and
loses what the server said: seen with one of five refusals in the middle of an upload. So the
bytes go through a channel of gRPC's other kind.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import grpc

from tame_router.client.adapter import Checked, Revision, UploadProgress
from tame_router.client.adapter_folder import AdapterFolder
from tame_router.client.adapter_upload import ProgressCallback, Uploader
from tame_router.client.connection import Connection, Metadata
from tame_router.v1 import adapter_registry_service_pb2 as pb

_DoneT = TypeVar("_DoneT")


class AsyncUploader:
    """Sends folders, on the event loop of the client.

    Args:
        connection: Opens the channel when it is first needed, and gives each call's metadata.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel: grpc.Channel | None = None

    async def upload(
        self,
        folder: AdapterFolder,
        announced: pb.UploadAnnouncement,
        progress: ProgressCallback | None,
    ) -> Revision:
        """Upload a folder, in as many tries as make headway.

        Raises:
            InvalidRequestError: When a file cannot be read, or is another than it was.
            TameError: What the server answered, as the class its reason names.
        """
        loop = asyncio.get_running_loop()

        def told(received: UploadProgress) -> None:
            if progress:
                loop.call_soon_threadsafe(progress, received)

        return await self._threaded(lambda uploader: uploader.upload(folder, announced, told))

    async def validate(self, folder: AdapterFolder, announced: pb.UploadAnnouncement) -> Checked:
        """Have a folder checked.

        Raises:
            InvalidRequestError: When a file cannot be read, or is another than it was.
            TameError: What the server answered, as the class its reason names.
        """
        return await self._threaded(lambda uploader: uploader.validate(folder, announced))

    def close(self) -> None:
        """Close the channel; uploads under way are cancelled."""
        if self._channel:
            self._channel.close()

    async def _threaded(self, work: Callable[[Uploader], _DoneT]) -> _DoneT:
        """Let a thread do it, and end what it does when nobody waits any more."""
        loop = asyncio.get_running_loop()

        def metadata() -> Metadata:
            made = asyncio.run_coroutine_threadsafe(self._connection.metadata_async(), loop)
            return made.result()

        if self._channel is None:
            self._channel = self._connection.open(grpc.insecure_channel, grpc.secure_channel)
        uploader = Uploader(self._channel, metadata, self._connection.attempts)
        try:
            return await asyncio.to_thread(work, uploader)
        finally:
            uploader.leave()
