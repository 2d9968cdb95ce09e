"""The desk for adapters: who may bring, see and publish them, and how much."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tame_router.admission.caller import Caller
from tame_router.admission.seats import Seats
from tame_router.errors import ExpertNotFoundError
from tame_router.quota.quota import Quota
from tame_router.registry.record import Actor, Label, RevisionRecord, StateChange
from tame_router.registry.registry import Registry
from tame_router.registry.request import (
    Announcement,
    Collected,
    HistoryPage,
    Page,
    Publication,
    Published,
    Wanted,
)
from tame_router.registry.rollout.restoration import Rollback
from tame_router.registry.uploading.intake import Session
from tame_router.registry.usable import unknown_revision
from tame_router.tenancy.tenant import Scope

UPLOADS_PER_TENANT = 8
UPLOADS = 64
"""Open at once, dry ones too: each has a thread, and files that are open."""

WATCHES_PER_TENANT = 16
WATCHES = 64
"""Open at once: each asks the records now and then, which publications wait for too."""


class AdapterDesk:
    """Serves callers within what they may publish. What they may not see does not exist for them.

    A caller needs `publish` and a grant to publish for the expert, or `admin`, which is for
    all experts.

    Args:
        registry: Keeps and publishes adapters.
        quota: Counts what is uploaded.
    """

    def __init__(self, registry: Registry, quota: Quota) -> None:
        self._registry = registry
        self._quota = quota
        self._uploads = Seats("uploads", per_tenant=UPLOADS_PER_TENANT, in_all=UPLOADS)
        self._watches = Seats("watches", per_tenant=WATCHES_PER_TENANT, in_all=WATCHES)

    @asynccontextmanager
    async def uploading(
        self, caller: Caller, peer: str, announced: Announcement, *, dry: bool = False
    ) -> AsyncIterator[Session]:
        """Open an upload, or go on with one; a dry one keeps nothing.

        Raises:
            PermissionDeniedError: When the caller may not publish.
            ExpertNotFoundError: When there is no such expert for it to publish for.
            OverloadedError: When too many uploads are open.
            QuotaExceededError: When its tenant has uploaded too much.
            UploadError: When what is announced cannot be taken.
        """
        _require_expert(caller, announced.expert)
        uploading = self._registry.uploading(announced, _actor(caller, peer), dry=dry)
        with self._uploads.taken(caller.tenant.name):
            async with uploading as session:
                if not session.progress.received_bytes:  # one that goes on was counted
                    await self._quota.take_upload(caller.tenant, announced.size_bytes)
                yield session

    async def revision(self, caller: Caller, name: str) -> RevisionRecord:
        """Give a revision with its report.

        Raises:
            PermissionDeniedError: When the caller may not publish.
            RevisionNotFoundError: When there is none of that name for it.
        """
        return await self._seen(caller, name, with_report=True)

    async def revisions(self, caller: Caller, wanted: Wanted) -> Page:
        """Give a page of revisions.

        Raises:
            PermissionDeniedError: When the caller may not publish.
            ExpertNotFoundError: When it names an expert that it may not publish for.
        """
        experts = _experts(caller)
        if wanted.expert:
            _require_expert(caller, wanted.expert)
            experts = frozenset((wanted.expert,))
        return await self._registry.revisions(experts, wanted)

    async def evaluate(
        self, caller: Caller, peer: str, name: str, request_id: str
    ) -> RevisionRecord:
        """Have a revision evaluated again.

        Raises:
            TameError: As `revision` and `Registry.evaluate` do.
        """
        await self._seen(caller, name)
        return await self._registry.evaluate(name, request_id, _actor(caller, peer))

    async def publish(self, caller: Caller, peer: str, publication: Publication) -> Published:
        """Let a revision answer.

        Raises:
            TameError: As `revision` and `Publisher.publish` do.
        """
        await self._seen(caller, publication.name)
        return await self._registry.publish(publication, _actor(caller, peer))

    async def rollback(
        self, caller: Caller, peer: str, expert: str, revision: str, request_id: str, because: str
    ) -> Label:
        """Let an earlier revision answer again, or end a canary.

        Raises:
            PermissionDeniedError: When the caller may not publish.
            ExpertNotFoundError: When there is no such expert for it to publish for.
            TameError: As `Restorer.rollback` does.
        """
        await self._require_known(caller, expert)
        wanted = Rollback(expert=expert, revision=revision, request_id=request_id, because=because)
        return await self._registry.rollback(wanted, _actor(caller, peer))

    async def retire(self, caller: Caller, peer: str, name: str) -> RevisionRecord:
        """Withdraw a revision.

        Raises:
            TameError: As `revision` and `Registry.retire` do.
        """
        await self._seen(caller, name)
        return await self._registry.retire(name, _actor(caller, peer))

    async def history(
        self, caller: Caller, expert: str, page_size: int, page_token: str
    ) -> HistoryPage:
        """Give a page of the moves of an expert's label.

        Raises:
            PermissionDeniedError: When the caller may not publish.
            ExpertNotFoundError: When there is no such expert for it to publish for.
        """
        await self._require_known(caller, expert)
        return await self._registry.history(expert, page_size, page_token)

    @asynccontextmanager
    async def watching(
        self, caller: Caller, name: str, expert: str, after_sequence: int | None
    ) -> AsyncIterator[AsyncIterator[tuple[StateChange, RevisionRecord]]]:
        """Open the changes of state, each with the revision after it.

        Raises:
            OverloadedError: When too many watches are open.
            TameError: As `revision` does where a revision is named, else as `revisions` does.
        """
        experts = _experts(caller)
        if name:
            await self._seen(caller, name)
        if expert:
            _require_expert(caller, expert)
            experts = frozenset((expert,))
        with self._watches.taken(caller.tenant.name):
            async with self._registry.watching(name, experts, after_sequence) as changes:
                yield changes

    async def collect(self, caller: Caller, peer: str, *, dry_run: bool) -> Collected:
        """Remove what nothing needs, or tell what that is.

        Raises:
            PermissionDeniedError: When the caller is no operator.
        """
        caller.principal.require(Scope.ADMIN)
        return await self._registry.collect(_actor(caller, peer), dry_run=dry_run)

    async def _require_known(self, caller: Caller, expert: str) -> None:
        _require_expert(caller, expert)
        if not await self._registry.has_expert(expert):
            raise ExpertNotFoundError(
                f"there is no expert {expert[:64]!r}, and no adapter was brought for one;"
                " ListAdapterRevisions tells of which there are some",
                metadata={"expert": expert[:64]},
            )

    async def _seen(
        self, caller: Caller, name: str, *, with_report: bool = False
    ) -> RevisionRecord:
        experts = _experts(caller)
        record = await self._registry.revision(name, with_report=with_report)
        expert = name.partition("--")[0] if record is None else record.expert
        if experts is not None and expert not in experts:
            raise unknown_revision(name)
        if record is None:
            raise await self._registry.absent(name)
        return record


def _experts(caller: Caller) -> frozenset[str] | None:
    """Give the experts that a caller may publish for; None: all.

    Raises:
        PermissionDeniedError: When it may not publish.
    """
    if Scope.ADMIN in caller.principal.scopes:
        return None
    caller.principal.require(Scope.PUBLISH)
    return caller.tenant.publish


def _require_expert(caller: Caller, expert: str) -> None:
    experts = _experts(caller)
    if experts is not None and expert not in experts:
        granted = ", ".join(sorted(experts)) or "none"
        raise ExpertNotFoundError(
            f"there is no expert {expert[:64]!r} that this tenant may bring adapters for; granted"
            f" are: {granted}",
            metadata={"expert": expert[:64]},
        )


def _actor(caller: Caller, peer: str) -> Actor:
    return Actor(tenant=caller.tenant.name, subject=caller.principal.subject, peer=peer)
