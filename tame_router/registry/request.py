"""What is asked of the registry, and what it gives. Values only; edges read and write them."""

from dataclasses import dataclass
from typing import Final

from tame_router.errors import InvalidRequestError
from tame_router.registry.finding import Finding
from tame_router.registry.manifest import FileEntry
from tame_router.registry.record import Label, LabelChange, RevisionRecord
from tame_router.registry.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What is going to be uploaded.

    Attributes:
        expert: The expert that the adapter is for.
        files: All files, in the order in which chunks number them; sizes and digests are
            enforced.
        request_id: Names the upload, so that it can be sent again; empty: the files do.
        base_model_digest: SHA-256 of the base model's manifest that it was trained on, 64
            hexadecimal characters; empty: not said.
    """

    expert: str
    files: tuple[FileEntry, ...]
    request_id: str = ""
    base_model_digest: str = ""

    @property
    def size_bytes(self) -> int:
        """All bytes of its files."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a file.

    Attributes:
        file: Number of the file in the announcement, from 0.
        offset: Place of the first byte in that file.
        data: The bytes, 1 to 2 MiB of them.
        running_crc32: CRC-32 of all bytes of that file up to the end of this chunk.
    """

    file: int
    offset: int
    data: bytes
    running_crc32: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What of an upload is safely received.

    Attributes:
        upload_id: Names the upload.
        file: Number of the file to go on with; the number of files: all is received.
        offset: Place in that file to go on from; everything before it outlives a crash.
        running_crc32: CRC-32 of that file up to there.
        received_bytes: Bytes received of all files.
        size_bytes: Bytes announced.
    """

    upload_id: str
    file: int
    offset: int
    running_crc32: int
    received_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a dry run found.

    Attributes:
        name: Name that the revision would have.
        findings: What was found; with a fatal one it would be refused.
    """

    name: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which revisions are wanted, and which page of them.

    Attributes:
        expert: Only of this expert; empty: of all that the caller may publish for.
        states: Only in these states; empty: in any.
        page_size: Most items, in [1, 1000].
        page_token: `next_page_token` of the page before; empty: the first page.
    """

    expert: str = ""
    states: frozenset[State] = frozenset()
    page_size: int = 100
    page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of revisions.

    Attributes:
        records: The revisions without reports, the newest first.
        next_page_token: Token of the next page; empty: this was the last.
        labels: The labels of the experts on this page.
    """

    records: tuple[RevisionRecord, ...]
    next_page_token: str = ""
    labels: tuple[Label, ...] = ()


LEAST_SHARE: Final = 0.001
"""A smaller share of the conversations would bring no verdict in any time that is waited for."""


def require_share(share: float, field: str) -> None:
    """Make sure of a canary's or a shadow's share of the conversations.

    Args:
        share: The share.
        field: What the caller calls it.

    Raises:
        InvalidRequestError: When it is not in [0.001, 1).
    """
    # Written so that NaN, which compares false with everything, is refused too.
    if not LEAST_SHARE <= share < 1:
        raise InvalidRequestError(
            f"{field} is {share:g}; expected {LEAST_SHARE:g} or more and below 1, or nothing for"
            " all callers",
            field=field,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """How a revision is to be published.

    Attributes:
        name: Name of the revision.
        canary_share: Share of the conversations that it answers, in [0.001, 1); None: all.
        shadow: It is to answer copies of that share, and nobody gets these answers.
        request_id: Names the call, so that it can be sent again; empty: nothing does.
        expected_generation: Generation that the caller saw; None: any.
    """

    name: str
    canary_share: float | None = None
    shadow: bool = False
    request_id: str = ""
    expected_generation: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a publication led to: the label, and the revision as it is now."""

    label: Label
    record: RevisionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """A page of an expert's history.

    Attributes:
        changes: The moves of its label, the newest first.
        next_page_token: Token of the next page; empty: this was the last.
        label: The label as it is now.
    """

    changes: tuple[LabelChange, ...]
    next_page_token: str
    label: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What garbage collection removed, or would remove.

    Attributes:
        revisions: Names of the revisions whose bytes are gone.
        strays: Names of those of which there was no record, as a crash leaves them.
        contents: SHA-256 of what else went, 64 hexadecimal characters each: contents that no
            revision names, as an upload leaves them that was broken off in its last moment.
        damaged: Names of revisions that stay, though their manifests cannot be read, or are gone.
        freed_bytes: Bytes set free.
        uploads: Unfinished uploads that were too old.
    """

    revisions: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    freed_bytes: int = 0
    uploads: int = 0
