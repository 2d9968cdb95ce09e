"""Check what is sent about adapters, and turn it into the registry's values.

What the files of an upload may be called and hold is the registry's to judge: it has a code
for each fault. Here is only what no value of the registry could hold, and what is so large that
handling it would keep everybody waiting.
"""

import re

from tame_router.api.admin_request import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, read_name
from tame_router.errors import InvalidRequestError, RequestTooLargeError
from tame_router.registry.finding import Finding
from tame_router.registry.manifest import FileEntry
from tame_router.registry.request import Announcement, Chunk, Publication, Wanted, require_share
from tame_router.registry.state import State
from tame_router.registry.uploading.upload_refusal import refusal
from tame_router.registry.validation.file_rules import check_count, check_path_length
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_revision_pb2 as revision_pb

MAX_CHUNK_BYTES = 2 * 2**20
MAX_BECAUSE_CHARS = 500
MAX_NAME_CHARS = 200
DIGEST_BYTES = 32

STATES = {
    revision_pb.AdapterRevision.STATE_VALIDATING: State.VALIDATING,
    revision_pb.AdapterRevision.STATE_EVALUATING: State.EVALUATING,
    revision_pb.AdapterRevision.STATE_APPROVED: State.APPROVED,
    revision_pb.AdapterRevision.STATE_PUBLISHING: State.PUBLISHING,
    revision_pb.AdapterRevision.STATE_ACTIVE: State.ACTIVE,
    revision_pb.AdapterRevision.STATE_REJECTED: State.REJECTED,
    revision_pb.AdapterRevision.STATE_RETIRED: State.RETIRED,
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

Sent = pb.UploadAdapterRevisionRequest | pb.ValidateAdapterRevisionRequest


def read_announcement(proto: Sent | None) -> Announcement:
    """Read the first message of an upload; None: there was none.

    Raises:
        InvalidRequestError: When it announces nothing, or what cannot be kept.
        UploadError: When it announces too many files, or a path that is too long.
    """
    if proto is None or proto.WhichOneof("part") != "announcement":
        raise InvalidRequestError(
            "the first message holds no announcement; announce the files before their chunks",
            field="announcement",
        )
    announced = proto.announcement
    _refuse(check_count(len(announced.files)))
    return Announcement(
        expert=_required(announced.expert, "announcement.expert", "the expert's name"),
        files=tuple(_read_file(file, index) for index, file in enumerate(announced.files)),
        request_id=read_request_id(announced.request_id, "announcement.request_id"),
        base_model_digest=_digest(
            announced.base_model_digest, "announcement.base_model_digest", optional=True
        ),
    )


def _read_file(proto: revision_pb.AdapterFile, index: int) -> FileEntry:
    field = f"announcement.files[{index}]"
    if proto.size_bytes < 0:
        raise InvalidRequestError(
            f"{field}.size_bytes is {proto.size_bytes}; expected 0 or more",
            field=f"{field}.size_bytes",
        )
    path = proto.path
    _refuse(check_path_length(path))
    return FileEntry(
        path=path,
        size_bytes=proto.size_bytes,
        sha256=_digest(proto.sha256, f"{field}.sha256"),
    )


def _refuse(finding: Finding | None) -> None:
    if finding:
        raise refusal([finding])


def read_chunk(proto: Sent) -> Chunk:
    """Read a further message of an upload; whether it is its turn is checked where it is kept.

    Raises:
        InvalidRequestError: When it is no chunk, or holds nothing.
        RequestTooLargeError: When it holds too much.
    """
    if proto.WhichOneof("part") != "chunk":
        raise InvalidRequestError(
            "a message after the first holds no chunk; send the files' bytes", field="chunk"
        )
    chunk = proto.chunk
    data = chunk.data  # each look at it copies it
    size = len(data)
    if size > MAX_CHUNK_BYTES:
        raise RequestTooLargeError(
            f"chunk.data has {size} bytes, at most {MAX_CHUNK_BYTES} are read at once; send"
            " smaller pieces",
            field="chunk.data",
        )
    if not size:
        raise InvalidRequestError(
            "chunk.data is empty; send 1 byte or more, and nothing for an empty file",
            field="chunk.data",
        )
    if chunk.file < 0 or chunk.offset < 0:
        raise InvalidRequestError(
            f"the chunk is for file {chunk.file} at {chunk.offset}; expected numbers from 0",
            field="chunk.file" if chunk.file < 0 else "chunk.offset",
        )
    return Chunk(file=chunk.file, offset=chunk.offset, data=data, running_crc32=chunk.running_crc32)


def read_revision_name(text: str) -> str:
    """Read which revision is meant; whether there is one is found out where they are kept.

    Raises:
        InvalidRequestError: When none is named.
    """
    return _required(text, "name", "a revision's name, `<expert>--<16 hexadecimal characters>`")


def read_expert_name(text: str) -> str:
    """Read which expert is meant.

    Raises:
        InvalidRequestError: When none is named.
    """
    return _required(text, "expert", "the expert's name")


def read_request_id(text: str, field: str = "request_id") -> str:
    """Read what names a call; empty: nothing does.

    Raises:
        InvalidRequestError: When it is malformed.
    """
    if text and not _REQUEST_ID.fullmatch(text):
        raise InvalidRequestError(
            f"{field} is {text[:64]!r}; expected 8 to 64 letters, digits, '.', '_' and '-', or"
            " nothing",
            field=field,
        )
    return text


def read_wanted(proto: pb.ListAdapterRevisionsRequest) -> Wanted:
    """Read which revisions are asked for.

    Raises:
        InvalidRequestError: When a state is not known, or the size of the page out of range.
    """
    for index, state in enumerate(proto.states):
        if state not in STATES:
            raise InvalidRequestError(
                f"states[{index}] is {state}; expected some of"
                f" {', '.join(map(revision_pb.AdapterRevision.State.Name, STATES))}",
                field=f"states[{index}]",
            )
    return Wanted(
        expert=read_name(proto.expert, "expert"),
        states=frozenset(STATES[state] for state in proto.states),
        page_size=read_page_size(proto.page_size),
        page_token=read_token(proto.page_token),
    )


def read_page_size(size: int) -> int:
    """Read how many items a page may have; 0: as many as the server likes.

    Raises:
        InvalidRequestError: When it is out of range.
    """
    if not 0 <= size <= MAX_PAGE_SIZE:
        raise InvalidRequestError(
            f"page_size is {size}; expected 0 to {MAX_PAGE_SIZE}", field="page_size"
        )
    return size or DEFAULT_PAGE_SIZE


def read_token(text: str) -> str:
    """Read the token of a page; whether it is one is found out where it was made.

    Raises:
        InvalidRequestError: When it holds a NUL.
    """
    return read_name(text, "page_token")


def read_publication(proto: pb.PublishAdapterRevisionRequest) -> Publication:
    """Read how a revision is to be published.

    Raises:
        InvalidRequestError: When the share of a canary or a shadow is none, both are given, the
            generation is none, or a name is malformed.
    """
    canary = proto.canary_share if proto.HasField("canary_share") else None
    shadow = proto.shadow_share if proto.HasField("shadow_share") else None
    if canary is not None and shadow is not None:
        raise InvalidRequestError(
            "canary_share and shadow_share are both given; a revision answers its share of the"
            " callers, or copies for nobody: send one of them",
            field="shadow_share",
        )
    expected = proto.expected_generation if proto.HasField("expected_generation") else None
    if expected is not None and expected < 0:
        raise InvalidRequestError(
            f"expected_generation is {expected}; expected 0 for a label that never moved, or what"
            " ListLabelHistory tells",
            field="expected_generation",
        )
    return Publication(
        name=read_revision_name(proto.name),
        canary_share=_share(canary, "canary_share") or _share(shadow, "shadow_share"),
        shadow=shadow is not None,
        request_id=read_request_id(proto.request_id),
        expected_generation=expected,
    )


def _share(share: float | None, field: str) -> float | None:
    if share is not None:
        require_share(share, field)
    return share


def read_because(text: str) -> str:
    """Read why something is done, for the history.

    Raises:
        RequestTooLargeError: When it is longer than is kept.
        InvalidRequestError: When it holds a NUL.
    """
    if len(text) > MAX_BECAUSE_CHARS:
        raise RequestTooLargeError(
            f"because has {len(text)} characters, at most {MAX_BECAUSE_CHARS} are kept; send less",
            field="because",
        )
    return read_name(text, "because")


def _required(text: str, field: str, expected: str) -> str:
    if not text:
        raise InvalidRequestError(f"{field} is empty; send {expected}", field=field)
    if len(text) > MAX_NAME_CHARS:
        raise InvalidRequestError(
            f"{field} has {len(text)} characters, no name has more than {MAX_NAME_CHARS}; send"
            f" {expected}",
            field=field,
        )
    return read_name(text, field)


def _digest(digest: bytes, field: str, *, optional: bool = False) -> str:
    if len(digest) != DIGEST_BYTES and (digest or not optional):
        raise InvalidRequestError(
            f"{field} has {len(digest)} bytes; expected the {DIGEST_BYTES} of a SHA-256"
            + (", or none" if optional else ""),
            field=field,
        )
    return digest.hex()
