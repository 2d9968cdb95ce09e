"""Uploads of an asyncio program, taken up where they broke."""

import asyncio
from collections.abc import Iterator
from typing import Generic, Self, TypeVar

import grpc

from tame_router.canonical_code import Code
from tame_router.client import adapter_request
from tame_router.client.adapter import Checked, Revision
from tame_router.client.adapter_folder import AdapterFolder, Piece, Place
from tame_router.client.adapter_reading import read_checked, read_revision
from tame_router.client.adapter_request import UploadCourse
from tame_router.client.adapter_upload import ProgressCallback
from tame_router.client.connection import Connection
from tame_router.client.finished import finished
from tame_router.client.rpc_error import RpcError, read_error
from tame_router.errors import InvalidRequestError, TameError
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_registry_service_pb2_grpc

_RequestT = TypeVar("_RequestT", pb.UploadAdapterRevisionRequest, pb.ValidateAdapterRevisionRequest)


class AsyncUploader:
    """Sends folders; their files are read by threads, never by the event loop.

    Args:
        connection: Gives each call's metadata, and how often a call is tried.
        stub: Makes the calls.
    """

    def __init__(
        self,
        connection: Connection,
        stub: "adapter_registry_service_pb2_grpc.AdapterRegistryServiceAsyncStub",
    ) -> None:
        self._connection = connection
        self._stub = stub

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
        course = UploadCourse(self._connection.attempts)
        while True:
            try:
                outgoing = _Outgoing(pb.UploadAdapterRevisionRequest, announced, folder)
                return await self._try(outgoing, course, progress)
            except TameError as error:
                wait_s = course.wait_s(error)
                if wait_s is None:
                    raise
            await asyncio.sleep(wait_s)

    async def validate(self, folder: AdapterFolder, announced: pb.UploadAnnouncement) -> Checked:
        """Have a folder checked.

        Raises:
            InvalidRequestError: When a file cannot be read, or is another than it was.
            TameError: What the server answered, as the class its reason names.
        """
        outgoing = _Outgoing(pb.ValidateAdapterRevisionRequest, announced, folder)
        outgoing.begin(Place())
        metadata = await self._connection.metadata_async()
        try:
            call = self._stub.ValidateAdapterRevision(outgoing, metadata=metadata)
            return read_checked(await finished(call))
        except grpc.RpcError as error:
            raise outgoing.error or read_error(error) from error

    async def _try(
        self,
        outgoing: "_Outgoing[pb.UploadAdapterRevisionRequest]",
        course: UploadCourse,
        progress: ProgressCallback | None,
    ) -> Revision:
        metadata = await self._connection.metadata_async()
        call = self._stub.UploadAdapterRevision(outgoing, metadata=metadata)
        try:
            async for response in call:
                if response.WhichOneof("part") == "revision":
                    return read_revision(response.revision)
                outgoing.begin(adapter_request.place(response.progress))
                told = course.told(response.progress)
                if progress:
                    progress(told)
        except grpc.RpcError as error:
            raise outgoing.error or read_error(error) from error
        finally:
            outgoing.begin(None)
            call.cancel()
        raise RpcError("the router ended the upload and named no revision", Code.INTERNAL)


class _Outgoing(Generic[_RequestT]):
    """What one try sends; gRPC iterates it, another task says where it begins.

    Args:
        make: Makes the messages.
        announced: Goes first.
        folder: Its pieces follow.

    Attributes:
        error: Why it could not go on; None: it could. The call then ends as one that broke.
    """

    def __init__(
        self, make: type[_RequestT], announced: pb.UploadAnnouncement, folder: AdapterFolder
    ) -> None:
        self.error: InvalidRequestError | None = None
        self._make: type[_RequestT] = make
        self._announced: pb.UploadAnnouncement | None = announced
        self._folder = folder
        self._begun = asyncio.Event()
        self._pieces: Iterator[Piece] = iter(())

    def begin(self, place: Place | None) -> None:
        """Say where it begins; None: nowhere, the call is over. The first word counts."""
        if not self._begun.is_set():
            self._pieces = self._folder.pieces(place) if place else iter(())
            self._begun.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _RequestT:
        if self._announced is not None:
            announced, self._announced = self._announced, None
            return self._make(announcement=announced)
        await self._begun.wait()
        try:
            piece = await asyncio.to_thread(next, self._pieces, None)
        except InvalidRequestError as error:
            self.error = error
            piece = None
        if piece is None:
            raise StopAsyncIteration
        return self._make(chunk=adapter_request.chunk(piece))
