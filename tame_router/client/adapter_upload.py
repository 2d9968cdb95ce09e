"""Uploads of a program without an event loop, taken up where they broke."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import grpc

from tame_router.canonical_code import Code
from tame_router.client import adapter_request
from tame_router.client.adapter import Checked, Revision, UploadProgress
from tame_router.client.adapter_folder import AdapterFolder, Place
from tame_router.client.adapter_reading import read_checked, read_revision
from tame_router.client.adapter_request import UploadCourse
from tame_router.client.connection import Metadata
from tame_router.client.rpc_error import RpcError, read_error
from tame_router.errors import InvalidRequestError, TameError
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_registry_service_pb2_grpc

_RequestT = TypeVar("_RequestT", pb.UploadAdapterRevisionRequest, pb.ValidateAdapterRevisionRequest)

ProgressCallback = Callable[[UploadProgress], None]
"""Is told what the router has safely received."""


class Uploader:
    """Sends a folder, or one after the other.

    Args:
        channel: Where the router is.
        metadata: Gives each call's.
        attempts: Tries in a row in which nothing more was received, before it is given up.
    """

    def __init__(
        self, channel: grpc.Channel, metadata: Callable[[], Metadata], attempts: int
    ) -> None:
        self._stub = adapter_registry_service_pb2_grpc.AdapterRegistryServiceStub(channel)
        self._metadata = metadata
        self._attempts = attempts
        self._left = threading.Event()
        self._call: grpc.Call | None = None

    def leave(self) -> None:
        """End what is under way, in whichever thread; nothing is tried again."""
        self._left.set()
        if self._call:
            self._call.cancel()

    def upload(
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
        course = UploadCourse(self._attempts)
        while True:
            try:
                return self._try(_Outgoing(announced, folder), course, progress)
            except TameError as error:
                wait_s = course.wait_s(error)
                if wait_s is None or self._left.wait(wait_s):
                    raise

    def validate(self, folder: AdapterFolder, announced: pb.UploadAnnouncement) -> Checked:
        """Have a folder checked.

        Raises:
            InvalidRequestError: When a file cannot be read, or is another than it was.
            TameError: What the server answered, as the class its reason names.
        """
        outgoing = _Outgoing(announced, folder)
        outgoing.begin(Place())
        requests = outgoing.requests(pb.ValidateAdapterRevisionRequest)
        call = self._stub.ValidateAdapterRevision.future(requests, metadata=self._metadata())
        self._begun(call)
        try:
            return read_checked(call.result())
        except grpc.FutureCancelledError:
            raise RpcError("the call was cancelled", Code.CANCELLED) from None
        except grpc.RpcError as error:
            raise outgoing.error or read_error(error) from error

    def _try(
        self, outgoing: "_Outgoing", course: UploadCourse, progress: ProgressCallback | None
    ) -> Revision:
        requests = outgoing.requests(pb.UploadAdapterRevisionRequest)
        call = self._stub.UploadAdapterRevision(requests, metadata=self._metadata())
        self._begun(call)
        try:
            for response in call:
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

    def _begun(self, call: grpc.Call) -> None:
        self._call = call
        if self._left.is_set():
            call.cancel()


class _Outgoing:
    """What one try sends; a thread of gRPC's iterates it, another says where it begins.

    Args:
        announced: Goes first.
        folder: Its pieces follow.

    Attributes:
        error: Why it could not go on; None: it could. The call then ends as one that broke.
    """

    def __init__(self, announced: pb.UploadAnnouncement, folder: AdapterFolder) -> None:
        self.error: InvalidRequestError | None = None
        self._announced = announced
        self._folder = folder
        self._begin: queue.SimpleQueue[Place | None] = queue.SimpleQueue()

    def begin(self, place: Place | None) -> None:
        """Say where it begins; None: nowhere, the call is over. The first word counts."""
        self._begin.put(place)

    def requests(self, make: type[_RequestT]) -> Iterator[_RequestT]:
        """Give the messages."""
        yield make(announcement=self._announced)
        place = self._begin.get()
        if place is None:
            return
        try:
            for piece in self._folder.pieces(place):
                request = make()
                adapter_request.write_chunk(request.chunk, piece)
                yield request
        except InvalidRequestError as error:
            self.error = error
