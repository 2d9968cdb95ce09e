"""What is done to the registry while it is killed, and how each deed must be found afterwards.

What the service has answered is a promise, which must be kept when it is back. What it has
not answered has happened as a whole or not at all, and can be asked for again.
"""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Protocol

import grpc

from bench.adapter_rig import EXPERT, Service
from tame_router.client import adapter_request
from tame_router.client.adapter import UNDECIDED, Label, UploadProgress
from tame_router.client.adapter_folder import AdapterFolder
from tame_router.client.async_client import AsyncClient
from tame_router.errors import RevisionNotFoundError
from tame_router.registry.manifest import FileEntry, make_manifest
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_registry_service_pb2_grpc


class Deed(Protocol):
    """Something that is done once."""

    async def do(self, client: AsyncClient) -> None:
        """Do it, and wait for the end of what it begins.

        Raises:
            TameError: When the service is killed meanwhile.
        """
        ...

    async def check(self, client: AsyncClient, service: Service) -> Sequence[str]:
        """Look at what became of it once the service is back and quiet, and do it again.

        Returns:
            What is wrong.
        """
        ...


class Upload:
    """An adapter is uploaded, and judged."""

    def __init__(self, folder: AdapterFolder) -> None:
        self._folder = folder
        self._announced = adapter_request.announcement(folder, EXPERT)
        self._received_bytes = 0
        files = [
            FileEntry(path=file.path, size_bytes=file.size_bytes, sha256=file.sha256)
            for file in folder.files
        ]
        self.name = make_manifest(files).name(EXPERT)
        self.acknowledged = False

    async def do(self, client: AsyncClient) -> None:
        """Upload it and wait until it is judged."""

        def told(progress: UploadProgress) -> None:
            self._received_bytes = progress.received_bytes

        await client.adapters.upload(self._folder, EXPERT, progress=told)
        self.acknowledged = True
        await _judged(client, self.name)

    async def check(self, client: AsyncClient, service: Service) -> Sequence[str]:
        """See that what was acknowledged is here, and send the rest."""
        wrong = []
        if self.acknowledged and not await _known(client, self.name):
            wrong.append(f"{self.name} was uploaded, and is gone")
        received = await asyncio.to_thread(self._resumed_at, service.address)
        if received < self._received_bytes:
            wrong.append(
                f"{self._received_bytes} bytes of {self.name} were acknowledged, and the upload"
                f" goes on from {received}"
            )
        done = await client.adapters.upload(self._folder, EXPERT)
        self.acknowledged = True
        if done.name != self.name:
            wrong.append(f"{self.name} became {done.name}")
        return wrong

    def _resumed_at(self, target: str) -> int:
        """Announce the files again, and give the bytes from which the service goes on."""
        with grpc.insecure_channel(target) as channel:
            stub: adapter_registry_service_pb2_grpc.AdapterRegistryServiceStub
            stub = adapter_registry_service_pb2_grpc.AdapterRegistryServiceStub(channel)
            request = pb.UploadAdapterRevisionRequest(announcement=self._announced)
            call = stub.UploadAdapterRevision(iter([request]))
            first = next(iter(call))
            call.cancel()
        return first.progress.received_bytes


class Evaluation:
    """A revision that was approved is evaluated again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._request_id = uuid.uuid4().hex
        self._acknowledged = False

    async def do(self, client: AsyncClient) -> None:
        """Ask for it and wait for the end."""
        await client.adapters.evaluate(self._name, request_id=self._request_id)
        self._acknowledged = True
        await _judged(client, self._name)

    async def check(self, client: AsyncClient, service: Service) -> Sequence[str]:
        """See that it is evaluated again, once, where that was promised."""
        begun = await asyncio.to_thread(service.rig.evaluations, self._name)
        if self._acknowledged and begun < 2:
            return [f"an evaluation of {self._name} was promised, and never begun"]
        await client.adapters.evaluate(self._name, request_id=self._request_id)
        again = await asyncio.to_thread(service.rig.evaluations, self._name)
        return [] if again == 2 else [f"{self._name} was evaluated {again} times in place of 2"]


class Move:
    """A label is moved: a revision is published, or the one before is live again."""

    def __init__(self, before: Label, target: str, *, back: bool) -> None:
        self._before = before
        self._target = target
        self._back = back
        self._request_id = uuid.uuid4().hex
        self._label: Label | None = None

    async def do(self, client: AsyncClient) -> None:
        """Move it."""
        self._label = await self._move(client)

    async def check(self, client: AsyncClient, service: Service) -> Sequence[str]:
        """See that it is where it was, or where it was to be; the same call moves it no further."""
        found = (await client.adapters.history(EXPERT, most=1)).label
        wrong = []
        if self._label and found != self._label:
            wrong.append(f"the label was answered as {self._label}, and is {found}")
        if found != self._before and not self._there(found):
            wrong.append(f"the label was {self._before}, and is {found}")
        again = await self._move(client)
        if not self._there(again):
            wrong.append(f"asked for {self._target} again, the label became {again}")
        return wrong

    async def _move(self, client: AsyncClient) -> Label:
        if self._back:
            return await client.adapters.rollback(EXPERT, request_id=self._request_id)
        done = await client.adapters.publish(self._target, request_id=self._request_id)
        return done.label

    def _there(self, label: Label) -> bool:
        moved = label.generation == self._before.generation + 1
        return moved and label.live == self._target and not label.canary


async def _judged(client: AsyncClient, name: str) -> None:
    async with client.adapters.watch(name) as changes:
        async for change in changes:
            if change.state not in UNDECIDED:
                return


async def _known(client: AsyncClient, name: str) -> bool:
    try:
        await client.adapters.get(name)
    except RevisionNotFoundError:
        return False
    return True
