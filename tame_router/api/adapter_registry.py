"""What the adapter service needs of the registry behind it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from tame_router.admission.caller import Caller
from tame_router.registry.record import Label, RevisionRecord, StateChange
from tame_router.registry.request import (
    Announcement,
    Checked,
    Chunk,
    Collected,
    HistoryPage,
    Page,
    Progress,
    Publication,
    Published,
    Wanted,
)


class Upload(Protocol):
    """An upload that is being received."""

    @property
    def progress(self) -> Progress:
        """What is safely received."""

    async def write(self, chunk: Chunk) -> Progress | None:
        """Take a piece; gives what is safely received where that is news.

        Raises:
            UploadError: When it is out of order, or what it holds is refused.
        """

    async def finish(self) -> RevisionRecord | Checked:
        """Name the revision, once all its bytes are here; of a dry run, tell what was found.

        Raises:
            UploadError: When a file is not what was announced, or is refused.
        """


class AdapterRegistry(Protocol):
    """Takes adapters in and publishes them; every method makes sure that the caller may.

    Args named `peer` are the address that the call came from.
    """

    def uploading(
        self, caller: Caller, peer: str, announced: Announcement, *, dry: bool = False
    ) -> AbstractAsyncContextManager[Upload]:
        """Open an upload, or go on with one; a dry one keeps nothing."""

    async def revision(self, caller: Caller, name: str) -> RevisionRecord:
        """Give a revision with its report."""

    async def revisions(self, caller: Caller, wanted: Wanted) -> Page:
        """Give a page of revisions."""

    async def evaluate(
        self, caller: Caller, peer: str, name: str, request_id: str
    ) -> RevisionRecord:
        """Have a revision evaluated again."""

    async def publish(self, caller: Caller, peer: str, publication: Publication) -> Published:
        """Let a revision answer."""

    async def rollback(
        self, caller: Caller, peer: str, expert: str, revision: str, request_id: str, because: str
    ) -> Label:
        """Let an earlier revision answer again, or end a canary."""

    async def retire(self, caller: Caller, peer: str, name: str) -> RevisionRecord:
        """Withdraw a revision."""

    async def history(
        self, caller: Caller, expert: str, page_size: int, page_token: str
    ) -> HistoryPage:
        """Give a page of the moves of an expert's label."""

    def watching(
        self, caller: Caller, name: str, expert: str, after_sequence: int | None
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[StateChange, RevisionRecord]]]:
        """Open the changes of state, each with the revision after it."""

    async def collect(self, caller: Caller, peer: str, *, dry_run: bool) -> Collected:
        """Remove what nothing needs, or tell what that is."""
