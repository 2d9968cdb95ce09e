"""`AdapterRegistryService` at the edge: what it refuses to read, and how streams end."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from tame_router.admission.reception import Reception
from tame_router.api.grpc_edge import EdgeInterceptor
from tame_router.api.registry_request import MAX_CHUNK_BYTES
from tame_router.api.registry_servicer import RegistryServicer
from tame_router.identity.authenticator import Insecure
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_registry_service_pb2_grpc
from tame_router.v1 import adapter_revision_pb2 as revision_pb
from tests.rich_error import rich
from tests.scripted_registry import ScriptedRegistry
from tests.served_registry import serving_registry

pytestmark = pytest.mark.anyio

Stub = Any
"""Calls the service; the class of asyncio's stub is in the stubs only."""
FUTURE: Any = 99
"""A state of a later version."""
NAME = "legal--0123456789abcdef"
NUL = "\0"
DATA = b"0123456789"
FILE = revision_pb.AdapterFile(
    path="README.md",
    size_bytes=len(DATA),
    sha256=bytes.fromhex("84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"),
)
ANNOUNCEMENT = pb.UploadAnnouncement(expert="legal", files=[FILE])


@asynccontextmanager
async def calling(registry: ScriptedRegistry | None = None) -> AsyncIterator[Stub]:
    """Give what calls a service over a registry."""
    async with (
        serving_registry(registry or ScriptedRegistry("legal")) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub: Stub = adapter_registry_service_pb2_grpc.AdapterRegistryServiceStub(channel)
        yield stub


def chunk(**fields: Any) -> pb.UploadAdapterRevisionRequest:
    """Write a chunk of the one file."""
    return pb.UploadAdapterRevisionRequest(chunk=pb.UploadChunk(**fields))


def announced(**fields: Any) -> list[pb.UploadAdapterRevisionRequest]:
    """Announce something else than it was."""
    announcement = pb.UploadAnnouncement(expert="legal", files=[FILE])
    announcement.MergeFrom(pb.UploadAnnouncement(**fields))
    return [pb.UploadAdapterRevisionRequest(announcement=announcement)]


BEGIN = pb.UploadAdapterRevisionRequest(announcement=ANNOUNCEMENT)


@pytest.mark.parametrize(
    ("sent", "field", "words"),
    [
        ([], "announcement", "holds no announcement"),
        ([pb.UploadAdapterRevisionRequest()], "announcement", "holds no announcement"),
        ([chunk(data=DATA)], "announcement", "announce the files before"),
        (
            [pb.UploadAdapterRevisionRequest(announcement=pb.UploadAnnouncement())],
            "announcement.expert",
            "is empty",
        ),
        (announced(expert="x" * 201), "announcement.expert", "no name has more than 200"),
        (announced(request_id="short"), "announcement.request_id", "8 to 64 letters"),
        (announced(base_model_digest=b"x"), "announcement.base_model_digest", "or none"),
        (
            announced(files=[revision_pb.AdapterFile(path="a", sha256=b"x")]),
            "announcement.files[1].sha256",
            "expected the 32 of a SHA-256",
        ),
        (
            announced(files=[revision_pb.AdapterFile(path="a", size_bytes=-1)]),
            "announcement.files[1].size_bytes",
            "0 or more",
        ),
        ([BEGIN, BEGIN], "chunk", "holds no chunk"),
        ([BEGIN, chunk()], "chunk.data", "is empty"),
        ([BEGIN, chunk(data=bytes(MAX_CHUNK_BYTES + 1))], "chunk.data", "smaller pieces"),
        ([BEGIN, chunk(data=DATA, file=-1)], "chunk.file", "numbers from 0"),
        ([BEGIN, chunk(data=DATA, offset=-1)], "chunk.offset", "numbers from 0"),
    ],
)
async def test_what_no_upload_can_be_is_refused(
    sent: list[pb.UploadAdapterRevisionRequest], field: str, words: str
) -> None:
    """The error names the field, and what is expected; a dry run says the same."""
    async with calling() as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [_ async for _ in stub.UploadAdapterRevision(iter(sent))]
        error = rich(caught.value)
        assert (error.code, error.fields) == ("INVALID_ARGUMENT", (field,))
        assert words in error.message
        dry = [pb.ValidateAdapterRevisionRequest.FromString(m.SerializeToString()) for m in sent]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ValidateAdapterRevision(iter(dry))
        assert rich(caught.value).fields == (field,)


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([FILE] * 65, "TOO_MANY_FILES"),
        ([FILE, revision_pb.AdapterFile(path="x" * 256, sha256=FILE.sha256)], "PATH_UNSAFE"),
    ],
)
async def test_an_announcement_that_is_huge_goes_no_further(
    files: list[revision_pb.AdapterFile], code: str
) -> None:
    """It is refused by the code the rules have for it, before anything is sorted or digested."""
    registry = ScriptedRegistry("legal")
    announcement = pb.UploadAnnouncement(expert="legal", files=files)
    async with calling(registry) as stub:
        sent = pb.UploadAdapterRevisionRequest(announcement=announcement)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [_ async for _ in stub.UploadAdapterRevision(iter([sent]))]
    error = rich(caught.value)
    assert (error.code, error.info.reason) == ("INVALID_ARGUMENT", "UPLOAD_INVALID")
    assert error.info.metadata["findings"] == code
    assert registry.opened == []


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda s: s.GetAdapterRevision(pb.GetAdapterRevisionRequest()), "name"),
        (lambda s: s.GetAdapterRevision(pb.GetAdapterRevisionRequest(name="a\0")), "name"),
        (
            lambda s: s.ListAdapterRevisions(pb.ListAdapterRevisionsRequest(page_size=1001)),
            "page_size",
        ),
        (
            lambda s: s.ListAdapterRevisions(pb.ListAdapterRevisionsRequest(states=[FUTURE])),
            "states[0]",
        ),
        (
            lambda s: s.ListAdapterRevisions(pb.ListAdapterRevisionsRequest(page_token=NUL)),
            "page_token",
        ),
        (
            lambda s: s.EvaluateAdapterRevision(
                pb.EvaluateAdapterRevisionRequest(name=NAME, request_id="a b")
            ),
            "request_id",
        ),
        *[
            (
                lambda s, share=share, field=field: s.PublishAdapterRevision(
                    pb.PublishAdapterRevisionRequest(name=NAME, **{field: share})
                ),
                field,
            )
            for field in ("canary_share", "shadow_share")
            for share in (0.0, 1.0, 1e-320, 0.0009, -0.5, float("nan"), float("inf"))
        ],
        (
            lambda s: s.PublishAdapterRevision(
                pb.PublishAdapterRevisionRequest(name=NAME, canary_share=0.5, shadow_share=0.5)
            ),
            "shadow_share",
        ),
        (
            lambda s: s.PublishAdapterRevision(
                pb.PublishAdapterRevisionRequest(name=NAME, expected_generation=-1)
            ),
            "expected_generation",
        ),
        (lambda s: s.PublishAdapterRevision(pb.PublishAdapterRevisionRequest()), "name"),
        (lambda s: s.RollbackExpert(pb.RollbackExpertRequest()), "expert"),
        (
            lambda s: s.RollbackExpert(pb.RollbackExpertRequest(expert="legal", because="x" * 501)),
            "because",
        ),
        (lambda s: s.RetireAdapterRevision(pb.RetireAdapterRevisionRequest()), "name"),
        (lambda s: s.ListLabelHistory(pb.ListLabelHistoryRequest()), "expert"),
        (
            lambda s: s.ListLabelHistory(pb.ListLabelHistoryRequest(expert="x", page_size=-1)),
            "page_size",
        ),
        (lambda s: watched(s, name="\0"), "name"),
    ],
)
async def test_what_cannot_be_meant_is_refused(call: Callable[[Stub], Any], field: str) -> None:
    """Before the registry is asked; the error names the field."""
    async with calling() as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(stub)
    error = rich(caught.value)
    assert (error.code, error.fields) == ("INVALID_ARGUMENT", (field,))


async def watched(stub: Stub, **fields: Any) -> None:
    """Watch until the service ends it."""
    async for _ in stub.WatchAdapterRevision(pb.WatchAdapterRevisionRequest(**fields)):
        pass


async def test_a_stream_that_ends_early_is_an_interrupted_upload() -> None:
    """Never a finished one: the answer says how much came, and it can be gone on with."""
    registry = ScriptedRegistry("legal")
    registry.script.acknowledge_bytes = 1
    half = chunk(data=DATA[:5], running_crc32=zlib.crc32(DATA[:5]))
    async with calling(registry) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [_ async for _ in stub.UploadAdapterRevision(iter([BEGIN, half]))]
        error = rich(caught.value)
        assert (error.code, error.info.reason) == ("ABORTED", "UPLOAD_INTERRUPTED")
        assert error.info.metadata["received_bytes"] == "5"
        assert not registry.records
        rest = chunk(data=DATA[5:], offset=5, running_crc32=zlib.crc32(DATA))
        answers = [a async for a in stub.UploadAdapterRevision(iter([BEGIN, rest]))]
    first, *_, last = answers
    assert (first.progress.offset, first.progress.received_bytes) == (5, 5)
    assert first.progress.running_crc32 == zlib.crc32(DATA[:5])
    assert last.revision.name == next(iter(registry.records))
    assert answers[-2].progress.file == 1


@pytest.mark.parametrize("sent", [[], [BEGIN]])
async def test_an_upload_that_stands_still_is_interrupted(
    sent: list[pb.UploadAdapterRevisionRequest],
) -> None:
    """Whoever holds an upload open and sends nothing is told to announce it again."""
    over = asyncio.Event()

    async def sending() -> AsyncIterator[pb.UploadAdapterRevisionRequest]:
        for message in sent:
            yield message
        await over.wait()

    async with (
        serving_registry(ScriptedRegistry("legal"), idle_s=0.05) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub: Stub = adapter_registry_service_pb2_grpc.AdapterRegistryServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [_ async for _ in stub.UploadAdapterRevision(sending())]
        over.set()
        error = rich(caught.value)
        assert (error.code, error.info.reason) == ("ABORTED", "UPLOAD_INTERRUPTED")
        assert "no message came for 0.05 s" in error.message
        # Nothing of it is in the way of the next.
        chunks = [BEGIN, chunk(data=DATA, running_crc32=zlib.crc32(DATA))]
        assert [a async for a in stub.UploadAdapterRevision(iter(chunks))][-1].revision.name


async def test_bytes_that_are_no_message_are_refused_in_the_middle_of_a_stream() -> None:
    """With our own error, as at the beginning of any call."""
    path = "/tame_router.v1.AdapterRegistryService/UploadAdapterRevision"

    def sent() -> Iterator[bytes]:
        yield BEGIN.SerializeToString()
        yield b"\xff\xff\xff"

    async with (
        serving_registry(ScriptedRegistry("legal")) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        make: Any = channel.stream_stream(path)
        call = make(sent())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [_ async for _ in call]
    error = rich(caught.value)
    assert (error.code, error.info.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_a_router_without_a_registry_says_so() -> None:
    """Every method of the service is there, and refuses."""
    server = grpc.aio.server(interceptors=[EdgeInterceptor(Reception(Insecure()))])
    adapter_registry_service_pb2_grpc.add_AdapterRegistryServiceServicer_to_server(
        RegistryServicer(), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub: Stub = adapter_registry_service_pb2_grpc.AdapterRegistryServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.ListAdapterRevisions(pb.ListAdapterRevisionsRequest())
            assert rich(caught.value).info.reason == "UNSUPPORTED"
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                [_ async for _ in stub.UploadAdapterRevision(iter([BEGIN]))]
            assert rich(caught.value).info.reason == "UNSUPPORTED"
    finally:
        await server.stop(None)
