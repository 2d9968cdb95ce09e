"""Pages of very many revisions, asked for over gRPC."""

import asyncio
import hashlib
import time
from datetime import UTC, datetime
from statistics import median
from typing import Final

import grpc

from bench.adapter_rig import Rig
from tame_router.registry.manifest import FileEntry, make_manifest
from tame_router.registry.record import RevisionRecord
from tame_router.registry.records.row import write_revision
from tame_router.registry.records.tables import REVISION
from tame_router.registry.state import State
from tame_router.store import Database
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_registry_service_pb2_grpc
from tests.small_experts import TITLES

REVISIONS: Final = 10_000
FILES: Final = {
    "README.md": 2_000,
    "adapter_config.json": 1_175,
    "adapter_model.safetensors": 10**7,
}

_FIRST_NUMBER: Final = 10**6
"""Behind those that the service has given: they count as the newest."""

_TIMES: Final = 50
_PAGE: Final = 100


def seed(rig: Rig) -> None:
    """Write revisions into the records, in turn for each expert; they have no bytes."""
    now = datetime.now(UTC)
    experts = sorted(TITLES)
    rows = []
    for number in range(REVISIONS):
        manifest = make_manifest(
            FileEntry(
                path=path,
                size_bytes=size,
                sha256=hashlib.sha256(f"{number} {path}".encode()).hexdigest(),
            )
            for path, size in FILES.items()
        )
        expert = experts[number % len(experts)]
        record = RevisionRecord(
            name=manifest.name(expert),
            expert=expert,
            digest=manifest.digest,
            manifest=manifest,
            state=State.RETIRED,
            tenant="bench",
            subject="",
            create_time=now,
            update_time=now,
        )
        row = write_revision(record, _FIRST_NUMBER + number)
        rows.append({**row, "report": "x" * 20_000})
    database = Database(rig.settings.store, rig.settings.state_dir)
    try:
        with database.transaction() as connection:
            connection.execute(REVISION.insert(), rows)
    finally:
        database.close()


async def list_ms(rig: Rig, address: str) -> float:
    """Seed the records and ask for pages, from the newest on; give a page's median time in ms."""
    await asyncio.to_thread(seed, rig)
    times: list[float] = []
    async with grpc.aio.insecure_channel(address) as channel:
        stub: adapter_registry_service_pb2_grpc.AdapterRegistryServiceAsyncStub
        stub = adapter_registry_service_pb2_grpc.AdapterRegistryServiceStub(channel)
        token = ""
        for _ in range(_TIMES):
            request = pb.ListAdapterRevisionsRequest(page_size=_PAGE, page_token=token)
            begun = time.monotonic()
            page = await stub.ListAdapterRevisions(request)
            times.append((time.monotonic() - begun) * 1e3)
            token = page.next_page_token
    print(f"{'pages_ms, least to most':<24}{min(times):>9.1f}{max(times):>10.1f}")
    return median(times)
