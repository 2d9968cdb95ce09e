"""Scopes: every method of every service takes one, and nothing else opens it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from tame_router.admission.books import Books
from tame_router.admission.desk import Desk
from tame_router.admission.reception import Reception
from tame_router.answering.dispatch import Dispatch
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.single import SingleJoin
from tame_router.api.admin_servicer import AdminServicer
from tame_router.api.expert_servicer import ExpertServicer
from tame_router.api.feedback_servicer import FeedbackServicer
from tame_router.api.grpc_edge import EdgeInterceptor
from tame_router.api.registry_servicer import RegistryServicer
from tame_router.api.router_servicer import RouterServicer
from tame_router.catalog.expert import Catalog
from tame_router.catalog.live import LiveCatalog
from tame_router.config import LimitSettings, StoreSettings
from tame_router.config_access import TenantSettings
from tame_router.feedback.intake import Intake
from tame_router.identity.credentials import Credentials
from tame_router.identity.principal import Method, Principal
from tame_router.quota.local import LocalQuota
from tame_router.routing.router import Router
from tame_router.tenancy.office import Office
from tame_router.tenancy.tenant import Limits, Scope, Tenant
from tame_router.v1 import (
    adapter_registry_service_pb2,
    adapter_registry_service_pb2_grpc,
    admin_service_pb2,
    admin_service_pb2_grpc,
    chat_pb2,
    expert_service_pb2,
    expert_service_pb2_grpc,
    feedback_service_pb2,
    feedback_service_pb2_grpc,
    router_service_pb2,
    router_service_pb2_grpc,
)
from tests.admission.conftest import Recording
from tests.scripted_registry import ScriptedRegistry

pytestmark = pytest.mark.anyio

TENANT = "hospital"
REQUESTS_A_DAY = 3
ASKED = {"messages": [{"role": chat_pb2.ROLE_USER, "content": "hello"}]}
REQUESTS: dict[str, dict[str, Any]] = {
    "Route": ASKED,
    "Chat": ASKED,
    "StreamChat": ASKED,
    "GetExpert": {"name": "legal"},
    "SubmitFeedback": {"answer_id": "answer-1", "expert": "legal"},
    "UploadAdapterRevision": {"announcement": {"expert": "legal"}},
    "ValidateAdapterRevision": {"announcement": {"expert": "legal"}},
    "GetAdapterRevision": {"name": "legal--0123456789abcdef"},
    "EvaluateAdapterRevision": {"name": "legal--0123456789abcdef"},
    "PublishAdapterRevision": {"name": "legal--0123456789abcdef"},
    "RollbackExpert": {"expert": "legal"},
    "RetireAdapterRevision": {"name": "legal--0123456789abcdef"},
    "ListLabelHistory": {"expert": "legal"},
    "WatchAdapterRevision": {"name": "legal--0123456789abcdef"},
}
"""What is sent where an empty request would be refused for being empty."""

OWN = ("GetUsage", "ListAuditRecords")
"""Methods of `AdminService` that `usage` opens too, for a caller's own tenant."""

METHODS = (
    [
        pytest.param(method, {Scope.CHAT}, id=method.name)
        for services in (router_service_pb2, expert_service_pb2, feedback_service_pb2)
        for service in services.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]
    + [
        pytest.param(
            method,
            {Scope.ADMIN}
            if method.name == "CollectAdapterGarbage"
            else {Scope.ADMIN, Scope.PUBLISH},
            id=method.name,
        )
        for method in adapter_registry_service_pb2.DESCRIPTOR.services_by_name[
            "AdapterRegistryService"
        ].methods
    ]
    + [
        pytest.param(
            method,
            {Scope.ADMIN, Scope.USAGE} if method.name in OWN else {Scope.ADMIN},
            id=method.name,
        )
        for method in admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].methods
    ]
)


class Scoped:
    """Believes callers what they may do: their key is a list of scopes."""

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Read the list."""
        (text,) = credentials.api_key
        scopes = frozenset(Scope(name) for name in text.split(",") if name)
        return Principal(tenant=TENANT, subject="key", method=Method.API_KEY, scopes=scopes)

    async def close(self) -> None:
        """Hold nothing."""


@pytest.fixture
async def channel(
    catalog: Catalog, router: Router, tmp_path: Path
) -> AsyncIterator[grpc.aio.Channel]:
    """Give a channel to all services, in front of a backend that answers everything."""
    office = Office(StoreSettings(), tmp_path, lambda: catalog.names)
    intake = Intake(StoreSettings(), tmp_path)
    tenant = Tenant(
        name=TENANT,
        read=frozenset({"*"}),
        publish=frozenset({"legal"}),
        limits=Limits(requests_per_day=REQUESTS_A_DAY),
    )
    await office.ask("test", lambda a: a.create(tenant))
    directory = await office.open_directory(TenantSettings())
    pipeline = Pipeline(LiveCatalog(catalog), router, SingleJoin(Dispatch({"local": Recording()})))
    desk = Desk(LiveCatalog(catalog), pipeline, Books(quota=LocalQuota()))
    server = grpc.aio.server(interceptors=[EdgeInterceptor(Reception(Scoped(), directory))])
    add = router_service_pb2_grpc.add_RouterServiceServicer_to_server
    add(RouterServicer(desk, LimitSettings()), server)
    expert_service_pb2_grpc.add_ExpertServiceServicer_to_server(ExpertServicer(desk), server)
    feedback = FeedbackServicer(desk, intake)
    feedback_service_pb2_grpc.add_FeedbackServiceServicer_to_server(feedback, server)
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(AdminServicer(office), server)
    registry = RegistryServicer(ScriptedRegistry("legal"))
    adapter_registry_service_pb2_grpc.add_AdapterRegistryServiceServicer_to_server(registry, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
            yield opened
    finally:
        await server.stop(None)
        await intake.close()
        await office.close()


async def call(channel: grpc.aio.Channel, method: Any, scopes: str) -> grpc.StatusCode:
    """Call a method, and give how it ended."""
    request = GetMessageClass(method.input_type)(**REQUESTS.get(method.name, {}))
    path = f"/{method.containing_service.full_name}/{method.name}"
    metadata = (("x-api-key", scopes),)
    read = GetMessageClass(method.output_type).FromString
    write = type(request).SerializeToString
    # A stream of one message is the message itself on the wire.
    try:
        if method.server_streaming:
            stream = channel.unary_stream(path, write, read)
            async for _ in stream(request, metadata=metadata):
                pass
        else:
            await channel.unary_unary(path, write, read)(request, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize(("method", "opens"), METHODS)
async def test_a_method_opens_to_its_scope_alone(
    channel: grpc.aio.Channel, method: Any, opens: set[Scope]
) -> None:
    """With every other scope together it is denied; with its own it is not."""
    others = ",".join(scope for scope in Scope if scope not in opens)
    assert await call(channel, method, others) is grpc.StatusCode.PERMISSION_DENIED
    for scope in Scope:
        denied = await call(channel, method, scope) is grpc.StatusCode.PERMISSION_DENIED
        assert denied is (scope not in opens)


async def test_whatever_chat_opens_counts_as_a_request(channel: grpc.aio.Channel) -> None:
    """Feedback, decisions and answers alike; looking experts up is free."""
    listed: list[Any] = [parameter.values[0] for parameter in METHODS]
    methods = {method.name: method for method in listed}
    for name in ("ListExperts", "SubmitFeedback", "Route", "Chat"):
        assert await call(channel, methods[name], "chat") is grpc.StatusCode.OK
    for name in ("SubmitFeedback", "Route", "Chat"):
        assert await call(channel, methods[name], "chat") is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await call(channel, methods["GetExpert"], "chat") is grpc.StatusCode.OK
