"""Hostile and broken uploads, sent to a whole service: each is refused as such, and leaves nothing.

What is wrong with them is the same as in the tests of the validation alone.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import grpc
import pytest

from tame_router import app
from tame_router.client.async_client import AsyncClient
from tame_router.registry.manifest import FileEntry
from tame_router.registry.reason import Reason
from tame_router.registry.validation.rules import Rules
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_registry_service_pb2_grpc
from tests.registry.validation.hostile_files import announced_otherwise
from tests.registry.validation.test_hostile_uploads import HOSTILE
from tests.registry.validation.upload import (
    EXPERT,
    RULES,
    WEIGHTS,
    Upload,
    small_upload,
    write_base_model,
)
from tests.registry_fixture import Site, approved
from tests.rich_error import RichError, rich

pytestmark = pytest.mark.anyio

NEW_EXPERT = "maritime"
"""Who sends files of a new expert names one that is not there."""

LEAST_LIMIT = 2**10
"""The smallest limit of bytes that the settings take."""

CUT_OFF = "fewer bytes than announced"
"""The one that gRPC cannot tell from a connection that broke: its bytes may still come."""


def hostile(**rules: object) -> dict[str, tuple[Callable[[], Upload], Reason]]:
    """Give the uploads that are to be met under such rules; none: under the usual."""
    meant = replace(RULES, **rules)  # type: ignore[arg-type]
    return {
        case: (make, reason)
        for case, (make, reason) in HOSTILE.items()
        if case != CUT_OFF and rules_of(case) == meant
    }


@cache
def rules_of(case: str) -> Rules:
    """Give the rules under which an upload is to be met; some take a while to make."""
    return HOSTILE[case][0]().rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A service, and two ways to it.

    Attributes:
        client: The SDK's.
        channel: gRPC's, by which anything can be sent.
        site: Where the service is.
        before: What lay there before anything was sent.
    """

    client: AsyncClient
    channel: grpc.Channel
    site: Site
    before: frozenset[Path]

    async def refused(self, upload: Upload) -> RichError:
        """Send an upload, and give the error that it ends with."""
        return await asyncio.to_thread(refused, self.channel, upload)

    async def left(self) -> list[object]:
        """Give what is there now that was not there before: files, and revisions."""
        revisions = (await self.client.adapters.list()).revisions
        return [*sorted(lying(self.site.folder) - self.before), *revisions]


@asynccontextmanager
async def wired(site: Site, **changed: object) -> AsyncIterator[Wire]:
    """Run a service with the rules of the tests of the validation, but for some."""
    base = write_base_model(site.folder / "tiny-llama")
    rules: dict[str, object] = {
        "max_file_bytes": RULES.max_file_bytes,
        "max_upload_bytes": RULES.max_upload_bytes,
        "max_rank": RULES.max_rank,
    }
    settings = site.changed(base_model_dir=base, **rules | changed)
    async with app.running(settings) as address, AsyncClient(address, attempts=1) as client:
        with grpc.insecure_channel(address) as channel:
            await client.adapters.list()  # makes the database
            before = lying(site.folder) | {site.settings.state_dir / "uploads"}
            yield Wire(client=client, channel=channel, site=site, before=before)


def addressed(upload: Upload) -> Upload:
    """Rename the new expert of an upload, as the service has one of that name."""
    if not upload.new_expert:
        return upload
    named = upload.files.get("expert.yaml", b"")
    renamed = named.replace(f"name: {EXPERT}".encode(), f"name: {NEW_EXPERT}".encode())
    return replace(upload, files=upload.files | {"expert.yaml": renamed})


def sent(upload: Upload) -> Iterator[pb.UploadAdapterRevisionRequest]:
    """Give the messages of an upload, all of them whatever is answered."""
    request = pb.UploadAdapterRevisionRequest()
    request.announcement.expert = NEW_EXPERT if upload.new_expert else EXPERT
    request.announcement.base_model_digest = bytes.fromhex(upload.base_model_digest)
    for file in upload.entries():
        digest = bytes.fromhex(file.sha256)
        request.announcement.files.add(path=file.path, size_bytes=file.size_bytes, sha256=digest)
    yield request
    for number, data in enumerate(upload.files.values()):
        crc32 = 0
        for offset in range(0, len(data), 2**20):
            piece = data[offset : offset + 2**20]
            crc32 = zlib.crc32(piece, crc32)
            request = pb.UploadAdapterRevisionRequest()
            request.chunk.file, request.chunk.offset = number, offset
            request.chunk.data, request.chunk.running_crc32 = piece, crc32
            yield request


def refused(channel: grpc.Channel, upload: Upload) -> RichError:
    """Send an upload, and give the error that it ends with."""
    stub: adapter_registry_service_pb2_grpc.AdapterRegistryServiceStub
    stub = adapter_registry_service_pb2_grpc.AdapterRegistryServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.UploadAdapterRevision(sent(upload)))
    return rich(caught.value)


def faults(error: RichError, reason: Reason) -> list[str]:
    """Tell how an error differs from the refusal that an upload has earned."""
    wrong = []
    if error.code != "INVALID_ARGUMENT":
        wrong.append(f"the status is {error.code}: {error.message}")
    elif error.info is None or error.info.reason != "UPLOAD_INVALID":
        wrong.append(f"the reason is {error.info}")
    elif error.info.metadata["findings"] != reason:
        wrong.append(f"found was {error.info.metadata['findings']}, not {reason}")
    if not (reason in error.message and error.message.isprintable()):
        wrong.append(f"the message is {error.message!r}")
    return wrong


def lying(folder: Path) -> frozenset[Path]:
    """Give all that lies below a folder, but for what a database has beside it."""
    found = folder.rglob("*")
    return frozenset(path for path in found if not path.name.endswith(("-wal", "-shm")))


@pytest.mark.parametrize(
    ("rules", "settings"),
    [
        ({}, {}),
        ({"max_file_bytes": 500}, {"max_file_bytes": LEAST_LIMIT}),
        ({"max_upload_bytes": 500}, {"max_upload_bytes": LEAST_LIMIT}),
        ({"require_base_model_digest": True}, {"require_base_model_digest": True}),
    ],
    ids=["usual", "small files", "small uploads", "digest required"],
)
async def test_each_is_refused_over_the_wire_and_leaves_nothing(
    site: Site, rules: dict[str, object], settings: dict[str, object]
) -> None:
    """Each has its own code and status; no file is left anywhere, and no record."""
    wrong: dict[str, object] = {}
    async with wired(site, **settings) as wire:
        for case, (make, reason) in hostile(**rules).items():
            error = await wire.refused(addressed(make()))
            if found := [*faults(error, reason), *await wire.left()]:
                wrong[case] = found
        assert wrong == {}
        if not rules:
            # And the service is as well as before.
            await approved(wire.client, site.adapter())


def test_none_is_forgotten() -> None:
    """Every upload of the table is sent by one of the tests above, but for the one below."""
    groups = (
        hostile(),
        hostile(max_file_bytes=500),
        hostile(max_upload_bytes=500),
        hostile(require_base_model_digest=True),
    )
    assert sum(map(len, groups)) == len(HOSTILE) - 1
    assert len(HOSTILE) > 150


def other_bytes() -> Upload:
    """Send other numbers than were announced."""
    upload = small_upload()
    upload.announced = upload.entries()
    weights = bytearray(upload.files[WEIGHTS])
    weights[-2] ^= 1
    upload.files[WEIGHTS] = bytes(weights)
    return upload


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (other_bytes, Reason.DIGEST_MISMATCH),
        (lambda: announced_otherwise(-2), Reason.SIZE_MISMATCH),
    ],
    ids=["other bytes", "more bytes"],
)
async def test_other_bytes_than_announced(
    site: Site, make: Callable[[], Upload], reason: Reason
) -> None:
    """Bytes that are not those of the announcement are refused as such."""
    async with wired(site) as wire:
        assert faults(await wire.refused(make()), reason) == []
        assert await wire.left() == []


async def test_an_announcement_that_cannot_be(site: Site) -> None:
    """A size below zero is refused by the field, and a file not announced by its number."""
    negative, stranger = small_upload(), small_upload()
    negative.announced = (
        FileEntry(path=WEIGHTS, size_bytes=-1, sha256="0" * 64),
        *(one for one in negative.entries() if one.path != WEIGHTS),
    )
    stranger.announced = stranger.entries()
    stranger.files["extra.json"] = b"x"
    async with wired(site) as wire:
        error = await wire.refused(negative)
        assert error.code == "INVALID_ARGUMENT"
        assert error.fields == ("announcement.files[0].size_bytes",)
        assert await wire.left() == []
        error = await wire.refused(stranger)
        assert (error.code, error.info.reason) == ("INVALID_ARGUMENT", "UPLOAD_INVALID")
        assert "for byte 0 of file 3" in error.message
        assert (await wire.client.adapters.list()).revisions == ()


async def test_an_upload_cut_off(site: Site) -> None:
    """One that brings fewer bytes than announced may go on; until then it is no revision."""
    make, _ = HOSTILE[CUT_OFF]
    async with wired(site) as wire:
        error = await wire.refused(make())
        assert (error.code, error.info.reason) == ("ABORTED", "UPLOAD_INTERRUPTED")
        assert int(error.info.metadata["received_bytes"]) > 0
        assert (await wire.client.adapters.list()).revisions == ()
        assert not site.store.exists()
