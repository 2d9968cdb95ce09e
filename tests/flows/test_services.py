"""What stands beside the answers: the experts, health, reflection, and the id of a call."""

import logging
import re
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tame_router import app
from tame_router.catalog.expert import Catalog
from tame_router.client.async_client import AsyncClient
from tame_router.client.request import chat_request, route_request
from tame_router.config import Settings
from tame_router.telemetry import log
from tame_router.v1 import (
    expert_service_pb2,
    expert_service_pb2_grpc,
    router_service_pb2,
    router_service_pb2_grpc,
)
from tests.fakes.vllm import FakeVllm
from tests.rich_error import rich
from tests.router_fixture import changed
from tests.small_experts import NOTICES, QUESTIONS

pytestmark = pytest.mark.anyio

NAMES = ("Router", "Expert", "Feedback", "Admin", "AdapterRegistry")
OWN = tuple(f"tame_router.v1.{name}Service" for name in NAMES)
STATUSES = health_pb2.HealthCheckResponse


async def test_experts_are_listed_in_order(client: AsyncClient, catalog: Catalog) -> None:
    """The list says of each expert what a caller may know, and nothing of its prompt."""
    experts = await client.experts()
    assert [expert.name for expert in experts] == sorted(catalog.names)
    legal = next(expert for expert in experts if expert.name == "legal")
    assert legal == await client.expert("legal")
    assert legal.titles == {"zh-TW": "法律", "en": "Legal"}
    assert legal.notices == NOTICES["legal"]
    assert (legal.backend, legal.live_revision) == ("local", catalog.expert("legal").live_revision)
    assert next(e for e in experts if e.name == "general").live_revision == ""


async def test_sampling_of_an_expert_is_told(channel: grpc.aio.Channel) -> None:
    """A value that the expert does not have is absent, not zero."""
    stub = expert_service_pb2_grpc.ExpertServiceStub(channel)
    found = await stub.GetExpert(expert_service_pb2.GetExpertRequest(name="medical"))
    sampling = found.expert.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.seed) == (64, 0.5, 7)
    assert not sampling.HasField("presence_penalty")


@pytest.mark.parametrize("size", [1, 3, 4, 1000])
async def test_pages_hold_every_expert_once(
    channel: grpc.aio.Channel, catalog: Catalog, size: int
) -> None:
    """Pages of any size, put behind each other, are the whole list; the last has no token."""
    stub = expert_service_pb2_grpc.ExpertServiceStub(channel)
    names, token = [], ""
    while True:
        request = expert_service_pb2.ListExpertsRequest(page_size=size, page_token=token)
        page = await stub.ListExperts(request)
        assert 1 <= len(page.experts) <= size
        names += [expert.name for expert in page.experts]
        token = page.next_page_token
        if not token:
            break
    assert names == list(catalog.names)


async def test_a_page_follows_its_token_even_when_that_expert_has_gone(
    channel: grpc.aio.Channel,
) -> None:
    """A token is a place in the order of names, not an expert."""
    stub = expert_service_pb2_grpc.ExpertServiceStub(channel)
    request = expert_service_pb2.ListExpertsRequest(page_token="hydrology")  # noqa: S106 - no password
    assert [e.name for e in (await stub.ListExperts(request)).experts] == ["legal", "medical"]


@pytest.mark.parametrize("service", ["", *OWN])
async def test_the_service_says_that_it_serves(channel: grpc.aio.Channel, service: str) -> None:
    """Health is SERVING for the server and for each service, by every method."""
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=service)
    assert (await stub.Check(request)).status == STATUSES.SERVING
    assert (await stub.List(health_pb2.HealthListRequest())).statuses[service].status == (
        STATUSES.SERVING
    )
    watch = stub.Watch(request)
    assert (await anext(aiter(watch))).status == STATUSES.SERVING
    watch.cancel()


async def test_the_health_of_a_stranger_is_not_known(channel: grpc.aio.Channel) -> None:
    """A service that is not here is NOT_FOUND."""
    stub = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_describes_the_services(channel: grpc.aio.Channel) -> None:
    """A tool can list the services and read their protos, without a file."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=OWN[0]),
    ]
    listed, described = [reply async for reply in stub.ServerReflectionInfo(iter(requests))]
    names = {service.name for service in listed.list_services_response.service}
    assert {*OWN, "grpc.health.v1.Health"} <= names
    files = described.file_descriptor_response.file_descriptor_proto
    assert any("StreamChat" in str(FileDescriptorProto.FromString(file)) for file in files)


async def test_reflection_can_be_left_out(settings: Settings) -> None:
    """With `server.reflection` off nobody is told what there is."""
    off = changed(settings, server={"reflection": False})
    async with app.running(off) as address, grpc.aio.insecure_channel(address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [reply async for reply in stub.ServerReflectionInfo(requests)]
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_callers_request_id_goes_all_the_way(
    channel: grpc.aio.Channel, fake_vllm: FakeVllm, caplog: pytest.LogCaptureFixture
) -> None:
    """A well-formed `x-request-id` names the call in log and error, and never an answer.

    Two callers who choose the same one get answers of their own.
    """
    caplog.set_level(logging.INFO, log.LOGGER.name)
    stub = router_service_pb2_grpc.RouterServiceStub(channel)
    sent = (("x-request-id", "Trace_2026-11.23"),)
    question = chat_request(router_service_pb2.ChatRequest, QUESTIONS["legal"][0])
    answers = [await stub.Chat(question, metadata=sent) for _ in range(2)]
    ids = [answer.answer_id for answer in answers]
    assert len({*ids, "Trace_2026-11.23"}) == 3
    assert [chat.headers["x-request-id"] for chat in fake_vllm.chats] == ids
    told = [record.facts for record in caplog.records if record.message == "answer.finished"]  # type: ignore[attr-defined]
    assert [(facts["request_id"], facts["answer_id"]) for facts in told] == [
        ("Trace_2026-11.23", answer_id) for answer_id in ids
    ]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Chat(router_service_pb2.ChatRequest(), metadata=sent)
    error = rich(caught.value)
    assert error.request_id == error.info.metadata["request_id"] == "Trace_2026-11.23"


@pytest.mark.parametrize("sent", ["", "short", "with spaces in it", "a" * 65, 'quote"quote'])
async def test_a_request_id_that_is_none_is_replaced(channel: grpc.aio.Channel, sent: str) -> None:
    """An id that is absent, or no id, gives way to a new one."""
    stub = router_service_pb2_grpc.RouterServiceStub(channel)
    question = chat_request(router_service_pb2.ChatRequest, QUESTIONS["legal"][0])
    metadata = (("x-request-id", sent),) if sent else ()
    first = await stub.Chat(question, metadata=metadata)
    second = await stub.Chat(question, metadata=metadata)
    assert re.fullmatch("[0-9a-f]{32}", first.answer_id)
    assert first.answer_id != second.answer_id


async def test_a_method_that_is_not_here_is_said_so(channel: grpc.aio.Channel) -> None:
    """A newer client's method is UNIMPLEMENTED, and the next call works."""
    newer: Any = channel.unary_unary("/tame_router.v1.RouterService/Divine")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await newer(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    stub = router_service_pb2_grpc.RouterServiceStub(channel)
    found = await stub.Route(route_request(QUESTIONS["legal"][0], explain=False))
    assert found.decision.experts[0].expert == "legal"
