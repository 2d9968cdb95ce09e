"""`AdapterRegistryService`: adapters come in, are looked at, and are published."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

from tame_router.api import registry_request, registry_response
from tame_router.api.adapter_registry import AdapterRegistry, Upload
from tame_router.api.grpc_edge import CALLER_GONE, Context, caller
from tame_router.errors import UnsupportedError
from tame_router.errors_registry import UploadInterruptedError
from tame_router.registry.record import RevisionRecord
from tame_router.registry.request import Checked
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_registry_service_pb2_grpc

IDLE_S = 60.0
"""Longest wait for the next message of an upload: it holds a thread and open files meanwhile."""


class RegistryServicer(adapter_registry_service_pb2_grpc.AdapterRegistryServiceServicer):
    """Serves `tame_router.v1.AdapterRegistryService`.

    Args:
        registry: Keeps and publishes adapters; None: this router has none, and says so.
        idle_s: Longest wait for the next message of an upload, in seconds.
    """

    def __init__(self, registry: AdapterRegistry | None = None, *, idle_s: float = IDLE_S) -> None:
        self._given = registry
        self._idle_s = idle_s

    async def UploadAdapterRevision(  # type: ignore[override]  # stubs know the generator form only
        self, requests: AsyncIterator[pb.UploadAdapterRevisionRequest], context: Context
    ) -> None:
        """Take the files of a revision, tell what is received, and name it."""
        first = await _next(requests, self._idle_s)
        announced = registry_request.read_announcement(first)
        async with self._registry.uploading(caller(), peer(context), announced) as upload:
            await _receive(upload, requests, context, self._idle_s)
            done = await upload.finish()
            await _write(context, registry_response.write_progress(upload.progress))
        if isinstance(done, RevisionRecord):
            revision = registry_response.write_revision(done)
            await _write(context, pb.UploadAdapterRevisionResponse(revision=revision))

    async def ValidateAdapterRevision(
        self, requests: AsyncIterator[pb.ValidateAdapterRevisionRequest], context: Context
    ) -> pb.ValidateAdapterRevisionResponse:
        """Check files as an upload does, and keep nothing."""
        first = await _next(requests, self._idle_s)
        announced = registry_request.read_announcement(first)
        uploading = self._registry.uploading(caller(), peer(context), announced, dry=True)
        async with uploading as upload:
            await _receive(upload, requests, None, self._idle_s)
            done = await upload.finish()
        name, findings = done.name, done.findings
        return registry_response.write_checked(Checked(name=name, findings=findings))

    async def GetAdapterRevision(
        self, request: pb.GetAdapterRevisionRequest, context: Context
    ) -> pb.GetAdapterRevisionResponse:
        """Give a revision with its report."""
        name = registry_request.read_revision_name(request.name)
        found = await self._registry.revision(caller(), name)
        return pb.GetAdapterRevisionResponse(revision=registry_response.write_revision(found))

    async def ListAdapterRevisions(
        self, request: pb.ListAdapterRevisionsRequest, context: Context
    ) -> pb.ListAdapterRevisionsResponse:
        """Give a page of revisions."""
        wanted = registry_request.read_wanted(request)
        return registry_response.write_page(await self._registry.revisions(caller(), wanted))

    async def EvaluateAdapterRevision(
        self, request: pb.EvaluateAdapterRevisionRequest, context: Context
    ) -> pb.EvaluateAdapterRevisionResponse:
        """Have a revision evaluated again."""
        name = registry_request.read_revision_name(request.name)
        request_id = registry_request.read_request_id(request.request_id)
        found = await self._registry.evaluate(caller(), peer(context), name, request_id)
        return pb.EvaluateAdapterRevisionResponse(revision=registry_response.write_revision(found))

    async def PublishAdapterRevision(
        self, request: pb.PublishAdapterRevisionRequest, context: Context
    ) -> pb.PublishAdapterRevisionResponse:
        """Let a revision answer."""
        publication = registry_request.read_publication(request)
        made = await self._registry.publish(caller(), peer(context), publication)
        return pb.PublishAdapterRevisionResponse(
            label=registry_response.write_label(made.label),
            revision=registry_response.write_revision(made.record),
        )

    async def RollbackExpert(
        self, request: pb.RollbackExpertRequest, context: Context
    ) -> pb.RollbackExpertResponse:
        """Let an earlier revision answer again, or end a canary."""
        label = await self._registry.rollback(
            caller(),
            peer(context),
            registry_request.read_expert_name(request.expert),
            request.revision and registry_request.read_revision_name(request.revision),
            registry_request.read_request_id(request.request_id),
            registry_request.read_because(request.because),
        )
        return pb.RollbackExpertResponse(label=registry_response.write_label(label))

    async def RetireAdapterRevision(
        self, request: pb.RetireAdapterRevisionRequest, context: Context
    ) -> pb.RetireAdapterRevisionResponse:
        """Withdraw a revision."""
        name = registry_request.read_revision_name(request.name)
        found = await self._registry.retire(caller(), peer(context), name)
        return pb.RetireAdapterRevisionResponse(revision=registry_response.write_revision(found))

    async def ListLabelHistory(
        self, request: pb.ListLabelHistoryRequest, context: Context
    ) -> pb.ListLabelHistoryResponse:
        """Give a page of an expert's history."""
        page = await self._registry.history(
            caller(),
            registry_request.read_expert_name(request.expert),
            registry_request.read_page_size(request.page_size),
            registry_request.read_token(request.page_token),
        )
        return registry_response.write_history(page)

    async def WatchAdapterRevision(  # type: ignore[override]  # stubs know the generator form only
        self, request: pb.WatchAdapterRevisionRequest, context: Context
    ) -> None:
        """Tell changes of state as they happen, until the caller leaves."""
        watching = self._registry.watching(
            caller(),
            request.name and registry_request.read_revision_name(request.name),
            request.expert and registry_request.read_expert_name(request.expert),
            request.after_sequence if request.HasField("after_sequence") else None,
        )
        async with watching as changes:
            async for change, record in changes:
                await _write(context, registry_response.write_change(change, record))

    async def CollectAdapterGarbage(
        self, request: pb.CollectAdapterGarbageRequest, context: Context
    ) -> pb.CollectAdapterGarbageResponse:
        """Remove what nothing needs."""
        collected = await self._registry.collect(caller(), peer(context), dry_run=request.dry_run)
        return registry_response.write_collected(collected)

    @property
    def _registry(self) -> AdapterRegistry:
        if self._given is None:
            raise UnsupportedError("this router takes no adapters; ask one that does")
        return self._given


def peer(context: Context) -> str:
    """Give the address that a call came from: `192.0.2.7:41234`, `[2001:db8::7]:41234`."""
    return unquote(str(context.peer())).removeprefix("ipv4:").removeprefix("ipv6:")


async def _next(requests: AsyncIterator[Any], idle_s: float) -> Any:
    """Give the next message of an upload; None: there is none.

    Raises:
        UploadInterruptedError: When none comes for so long.
    """
    try:
        async with asyncio.timeout(idle_s):
            return await anext(requests, None)
    except TimeoutError:
        raise UploadInterruptedError(
            f"no message came for {idle_s:g} s; announce the same files again to go on"
        ) from None


async def _receive(
    upload: Upload, requests: AsyncIterator[Any], context: Context | None, idle_s: float
) -> None:
    """Take chunks until the caller has sent all, and tell what is received.

    Args:
        upload: Keeps them.
        requests: The chunks.
        context: Where to tell; None: nowhere.
        idle_s: Longest wait for a chunk, in seconds.

    Raises:
        UploadInterruptedError: When no chunk comes for so long, or the stream ends early: gRPC
            shows a connection that broke and a caller that is done in the same way.
    """
    progress = upload.progress
    if context is not None:
        await _write(context, registry_response.write_progress(progress))
    received = progress.received_bytes
    while (request := await _next(requests, idle_s)) is not None:
        chunk = registry_request.read_chunk(request)
        told = await upload.write(chunk)
        received += len(chunk.data)
        if told is not None and context is not None:
            await _write(context, registry_response.write_progress(told))
    if received < progress.size_bytes:
        raise UploadInterruptedError(
            f"the stream ended after {received} of {progress.size_bytes} bytes; announce the same"
            " files again to go on",
            metadata={"received_bytes": str(received)},
        )


async def _write(context: Context, message: Any) -> None:
    try:
        await context.write(message)
    except CALLER_GONE as gone:
        # Who hangs up is seen as such, however the news of it comes.
        raise asyncio.CancelledError from gone
