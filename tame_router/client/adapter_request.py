"""What the SDK asks about adapters, as messages, and how it goes on with a broken upload."""

import uuid
from collections.abc import Collection
from typing import TypeVar

from google.protobuf.message import Message

from tame_router.canonical_code import Code
from tame_router.client.adapter import RevisionState, UploadProgress
from tame_router.client.adapter_folder import AdapterFolder, Piece, Place
from tame_router.client.adapter_reading import STATES
from tame_router.client.sendable import sendable
from tame_router.errors import InvalidRequestError, TameError
from tame_router.v1 import adapter_registry_service_pb2 as pb

PAGE_SIZE = 1000

BROKEN = frozenset({Code.UNAVAILABLE, Code.ABORTED, Code.CANCELLED})
"""How a stream ends that broke under way: the connection, the server, or the upload itself."""

Paged = pb.ListAdapterRevisionsRequest | pb.ListLabelHistoryRequest

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 5.0
_STATES = {state: proto for proto, state in STATES.items()}
_NamedT = TypeVar("_NamedT", pb.GetAdapterRevisionRequest, pb.RetireAdapterRevisionRequest)


class UploadCourse:
    """Where an upload stands, and whether it is tried again when it breaks.

    Args:
        attempts: Tries in a row in which nothing more was received, before it is given up.
    """

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts
        self._failed = 0
        self._received = -1

    def told(self, proto: pb.UploadProgress) -> UploadProgress:
        """Take what the router has received."""
        if proto.received_bytes > self._received:
            self._received, self._failed = proto.received_bytes, 0
        return UploadProgress(received_bytes=proto.received_bytes, size_bytes=proto.size_bytes)

    def wait_s(self, error: TameError) -> float | None:
        """Say after what time the upload is tried again; None: it is not."""
        self._failed += 1
        if error.code not in BROKEN or self._failed >= self._attempts:
            return None
        wait_s = _FIRST_WAIT_S * 2.0 ** min(self._failed - 1, 8)
        return min(max(wait_s, error.retry_after_s or 0.0), _LONGEST_WAIT_S)


def announcement(
    folder: AdapterFolder, expert: str, *, request_id: str = "", base_model_digest: str = ""
) -> pb.UploadAnnouncement:
    """Announce a folder.

    Raises:
        InvalidRequestError: When a request cannot hold a value.
    """
    try:
        digest = bytes.fromhex(base_model_digest)
    except ValueError:
        raise InvalidRequestError(
            f"base_model_digest is {base_model_digest[:80]!r}; expected 64 hexadecimal characters",
            field="base_model_digest",
        ) from None
    request = pb.UploadAnnouncement(base_model_digest=digest)
    _fill(request, expert=expert, request_id=request_id)
    for file in folder.files:
        with sendable(f"the path {file.path!r}"):
            request.files.add(
                path=file.path, size_bytes=file.size_bytes, sha256=bytes.fromhex(file.sha256)
            )
    return request


def write_chunk(proto: pb.UploadChunk, piece: Piece) -> None:
    """Write a piece of a file into a message, where its bytes are copied once."""
    proto.file = piece.file
    proto.offset = piece.offset
    proto.data = piece.data
    proto.running_crc32 = piece.running_crc32


def place(proto: pb.UploadProgress) -> Place:
    """Read where an upload goes on."""
    return Place(file=proto.file, offset=proto.offset, running_crc32=proto.running_crc32)


def revision_page(
    expert: str, states: Collection[RevisionState | str], most: int | None
) -> pb.ListAdapterRevisionsRequest:
    """Ask for a page of revisions.

    Raises:
        InvalidRequestError: When a state is not known, or a request cannot hold a value.
    """
    unknown = sorted(set(states) - set(_STATES))
    if unknown:
        raise InvalidRequestError(
            f"states holds {str(unknown[0])!r}; expected some of {', '.join(_STATES)}",
            field="states",
        )
    request = pb.ListAdapterRevisionsRequest(
        states=[_STATES[RevisionState(state)] for state in states],
        page_size=_page_size(most),
    )
    _fill(request, expert=expert)
    return request


def turn(request: Paged, token: str, most: int | None, got: int) -> bool:
    """Turn a request to the next page; False: there is none, or all that was wanted is here.

    Args:
        request: The request, which is changed.
        token: Of the next page; empty: there is none.
        most: How many items are wanted; None: all.
        got: How many there are so far.
    """
    if not token or (most is not None and got >= most):
        return False
    request.page_token = token
    request.page_size = _page_size(None if most is None else most - got)
    return True


def _page_size(most: int | None) -> int:
    return PAGE_SIZE if most is None else max(1, min(most, PAGE_SIZE))


def publication(
    name: str,
    canary_share: float | None,
    request_id: str,
    expected_generation: int | None,
    shadow_share: float | None = None,
) -> pb.PublishAdapterRevisionRequest:
    """Ask for a revision to answer; with a name of its own, so that it can be sent again.

    Raises:
        InvalidRequestError: When a request cannot hold a value.
    """
    request = pb.PublishAdapterRevisionRequest()
    _fill(request, name=name, request_id=own_id(request_id))
    if canary_share is not None:
        _fill(request, canary_share=canary_share)
    if shadow_share is not None:
        _fill(request, shadow_share=shadow_share)
    if expected_generation is not None:
        _fill(request, expected_generation=expected_generation)
    return request


def return_to(
    expert: str, revision: str, request_id: str, because: str
) -> pb.RollbackExpertRequest:
    """Ask for an earlier revision to answer again.

    Raises:
        InvalidRequestError: When a request cannot hold a value.
    """
    request = pb.RollbackExpertRequest()
    _fill(request, expert=expert, revision=revision, because=because, request_id=own_id(request_id))
    return request


def evaluation(name: str, request_id: str) -> pb.EvaluateAdapterRevisionRequest:
    """Ask for a revision to be evaluated again.

    Raises:
        InvalidRequestError: When a request cannot hold a value.
    """
    request = pb.EvaluateAdapterRevisionRequest()
    _fill(request, name=name, request_id=own_id(request_id))
    return request


def watch_request(
    name: str, expert: str, after_sequence: int | None
) -> pb.WatchAdapterRevisionRequest:
    """Ask for changes of state.

    Raises:
        InvalidRequestError: When a request cannot hold a value.
    """
    request = pb.WatchAdapterRevisionRequest()
    _fill(request, name=name, expert=expert)
    if after_sequence is not None:
        _fill(request, after_sequence=after_sequence)
    return request


def named(make: type[_NamedT], name: str) -> _NamedT:
    """Make a request about a revision of which it says the name and nothing else.

    Raises:
        InvalidRequestError: When a request cannot hold it.
    """
    request = make()
    _fill(request, name=name)
    return request


def history_page(expert: str, most: int | None) -> pb.ListLabelHistoryRequest:
    """Ask for a page of an expert's history.

    Raises:
        InvalidRequestError: When a request cannot hold a value.
    """
    request = pb.ListLabelHistoryRequest(page_size=_page_size(most))
    _fill(request, expert=expert)
    return request


def own_id(request_id: str) -> str:
    """Give the caller's name of a call, or one of its own."""
    return request_id or uuid.uuid4().hex


def _fill(request: Message, **values: str | float) -> None:
    for field, value in values.items():
        with sendable(field):
            setattr(request, field, value)
