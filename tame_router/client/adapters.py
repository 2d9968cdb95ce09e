"""What programs without an event loop do with adapters."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

import grpc

from tame_router.client import adapter_request
from tame_router.client.adapter import (
    Checked,
    Collected,
    History,
    Label,
    LabelChange,
    Published,
    Revision,
    Revisions,
    RevisionState,
    StateChange,
)
from tame_router.client.adapter_folder import AdapterFolder, as_folder
from tame_router.client.adapter_reading import (
    read_change,
    read_collected,
    read_label,
    read_label_change,
    read_published,
    read_revision,
)
from tame_router.client.adapter_upload import ProgressCallback, Uploader
from tame_router.client.connection import Connection
from tame_router.client.rpc_error import read_error, rebuilt_errors
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_registry_service_pb2_grpc

_RequestT = TypeVar("_RequestT")
_ResponseT = TypeVar("_ResponseT")


class Adapters:
    """Uploads, evaluates and publishes adapters; threads may share it.

    Every method raises, as a `TameError`, what the server answered, as the class its reason
    names, and `InvalidRequestError` where a request cannot hold a value.

    Args:
        connection: Gives each call's metadata.
        channel: Where the router is.
    """

    def __init__(self, connection: Connection, channel: grpc.Channel) -> None:
        self._connection = connection
        self._stub = adapter_registry_service_pb2_grpc.AdapterRegistryServiceStub(channel)
        self._channel = channel

    def upload(
        self,
        folder: AdapterFolder | Path | str,
        expert: str,
        *,
        progress: ProgressCallback | None = None,
        request_id: str = "",
        base_model_digest: str = "",
        everything: bool = False,
    ) -> Revision:
        """Upload a folder, a piece at a time; a stream that breaks is taken up where it broke.

        It returns when the router has all bytes and has named the revision, which is then
        `validating`: `watch` tells what becomes of it. The same bytes are the same revision.

        Args:
            folder: The adapter's; or as `read_folder` has read it.
            expert: The expert that it is for.
            progress: Told what is safely received.
            request_id: Names the upload; empty: the files' digests do.
            base_model_digest: SHA-256 of the base model's manifest that it was trained on, 64
                hexadecimal characters; empty: not said.
            everything: Send whatever the folder holds, not only what a revision is made of.

        Raises:
            InvalidRequestError: When the folder holds nothing to send, or a link.
            UploadError: When the router refuses what is sent.
        """
        read = as_folder(folder, everything=everything)
        announced = adapter_request.announcement(
            read, expert, request_id=request_id, base_model_digest=base_model_digest
        )
        return self._uploader().upload(read, announced, progress)

    def validate(
        self,
        folder: AdapterFolder | Path | str,
        expert: str,
        *,
        base_model_digest: str = "",
        everything: bool = False,
    ) -> Checked:
        """Have a folder checked as an upload is; nothing of it is kept. See `upload`.

        Raises:
            InvalidRequestError: When the folder holds nothing to send, or a link.
            UploadError: When the router refuses what is sent without looking further.
        """
        read = as_folder(folder, everything=everything)
        announced = adapter_request.announcement(read, expert, base_model_digest=base_model_digest)
        return self._uploader().validate(read, announced)

    def get(self, name: str, *, timeout_s: float | None = None) -> Revision:
        """Look a revision up, with its report."""
        request = adapter_request.named(pb.GetAdapterRevisionRequest, name)
        response = self._ask(self._stub.GetAdapterRevision, request, timeout_s)
        return read_revision(response.revision)

    def list(
        self,
        expert: str = "",
        states: Collection[RevisionState | str] = (),
        *,
        most: int | None = None,
        timeout_s: float | None = None,
    ) -> Revisions:
        """List revisions, the newest first, and their experts' labels.

        Args:
            expert: Only of this one; empty: of all that the caller may publish for.
            states: Only in these; empty: in any.
            most: Only so many; None: all.
            timeout_s: Longest wait for each page, in seconds; None: no limit.
        """
        revisions: tuple[Revision, ...] = ()
        labels: dict[str, Label] = {}
        request = adapter_request.revision_page(expert, states, most)
        while True:
            page = self._ask(self._stub.ListAdapterRevisions, request, timeout_s)
            revisions += tuple(map(read_revision, page.revisions))
            labels |= {label.expert: read_label(label) for label in page.labels}
            if not adapter_request.turn(request, page.next_page_token, most, len(revisions)):
                return Revisions(revisions=revisions, labels=tuple(labels.values()))

    def evaluate(
        self, name: str, *, request_id: str = "", timeout_s: float | None = None
    ) -> Revision:
        """Have an approved or refused revision evaluated again; `watch` tells the end."""
        request = adapter_request.evaluation(name, request_id)
        response = self._ask(self._stub.EvaluateAdapterRevision, request, timeout_s)
        return read_revision(response.revision)

    def publish(
        self,
        name: str,
        *,
        canary_share: float | None = None,
        shadow_share: float | None = None,
        request_id: str = "",
        expected_generation: int | None = None,
        timeout_s: float | None = None,
    ) -> Published:
        """Let an approved revision answer. It returns when the label has moved.

        Args:
            name: Name of the revision.
            canary_share: Share of the conversations that it answers, in [0.001, 1); None: all.
            shadow_share: Instead: share of which it answers copies, for nobody, in [0.001, 1).
            request_id: Names the call; sent again under the same name, it is done once.
            expected_generation: Generation of the label that the caller saw; None: any.
            timeout_s: Longest wait, in seconds; None: no limit.

        Raises:
            RolloutError: When a replica refused it; everything is as it was.
            LabelMovedError: When somebody else moved the label first.
        """
        request = adapter_request.publication(
            name, canary_share, request_id, expected_generation, shadow_share
        )
        response = self._ask(self._stub.PublishAdapterRevision, request, timeout_s)
        return read_published(response)

    def rollback(
        self,
        expert: str,
        revision: str = "",
        *,
        because: str = "",
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> Label:
        """Let an earlier revision answer again, or end a canary or a shadow.

        Args:
            expert: The expert.
            revision: The one to go back to; empty: the one before the live one, or where there
                is a canary the live one alone.
            because: Why, for the history.
            request_id: Names the call; sent again under the same name, it is done once.
            timeout_s: Longest wait, in seconds; None: no limit.

        Raises:
            NothingToRestoreError: When there is nothing to go back to.
        """
        request = adapter_request.return_to(expert, revision, request_id, because)
        response = self._ask(self._stub.RollbackExpert, request, timeout_s)
        return read_label(response.label)

    def retire(self, name: str, *, timeout_s: float | None = None) -> Revision:
        """Withdraw a revision that does not answer, for good."""
        request = adapter_request.named(pb.RetireAdapterRevisionRequest, name)
        response = self._ask(self._stub.RetireAdapterRevision, request, timeout_s)
        return read_revision(response.revision)

    def history(
        self, expert: str, *, most: int | None = None, timeout_s: float | None = None
    ) -> History:
        """Give an expert's label and its moves, the newest first; `most`: only so many."""
        changes: tuple[LabelChange, ...] = ()
        request = adapter_request.history_page(expert, most)
        while True:
            page = self._ask(self._stub.ListLabelHistory, request, timeout_s)
            changes += tuple(map(read_label_change, page.changes))
            if not adapter_request.turn(request, page.next_page_token, most, len(changes)):
                return History(label=read_label(page.label), changes=changes)

    @contextmanager
    def watch(
        self,
        name: str = "",
        *,
        expert: str = "",
        after_sequence: int | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[Iterator[StateChange]]:
        """Open the changes of state, as they happen; leaving the context ends it.

        Args:
            name: Only of this revision; empty: of all that the caller may see.
            expert: Only of this expert; empty: of all.
            after_sequence: Begin behind this change; None: with new ones, after the present
                state of `name` where it is given.
            timeout_s: How long to watch, in seconds; None: until the context is left.

        Raises:
            TameError: From iterating: what the server answered.
        """
        request = adapter_request.watch_request(name, expert, after_sequence)
        call = self._stub.WatchAdapterRevision(
            request, timeout=timeout_s, metadata=self._connection.metadata()
        )
        try:
            yield _Changes(iter(call))
        finally:
            call.cancel()

    def collect(self, *, dry_run: bool = False, timeout_s: float | None = None) -> Collected:
        """Remove bytes that nothing needs, or only tell which those are."""
        request = pb.CollectAdapterGarbageRequest(dry_run=dry_run)
        response = self._ask(self._stub.CollectAdapterGarbage, request, timeout_s)
        return read_collected(response)

    def _uploader(self) -> Uploader:
        return Uploader(self._channel, self._connection.metadata, self._connection.attempts)

    def _ask(
        self,
        method: "grpc.UnaryUnaryMultiCallable[_RequestT, _ResponseT]",  # generic in the stubs only
        request: _RequestT,
        timeout_s: float | None,
    ) -> _ResponseT:
        metadata = self._connection.metadata()
        with rebuilt_errors():
            return method(request, timeout=timeout_s, metadata=metadata)


class _Changes:
    """Iterates changes of state."""

    def __init__(self, responses: Iterator[pb.WatchAdapterRevisionResponse]) -> None:
        self._responses = responses

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StateChange:
        try:
            return read_change(next(self._responses))
        except grpc.RpcError as error:
            raise read_error(error) from error
