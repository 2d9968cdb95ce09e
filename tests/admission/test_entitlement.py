"""A forbidden expert is one that does not exist: for backends, decisions, lists and errors."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tame_router.admission.desk import Desk
from tame_router.admission.reception import Reception
from tame_router.answering.dispatch import Dispatch
from tame_router.answering.event import Event
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.single import SingleJoin
from tame_router.api.expert_servicer import ExpertServicer
from tame_router.api.grpc_edge import EdgeInterceptor
from tame_router.catalog.expert import Catalog
from tame_router.catalog.live import LiveCatalog
from tame_router.errors import TameError, UnauthenticatedError
from tame_router.identity.credentials import Credentials
from tame_router.identity.principal import Method, Principal
from tame_router.routing.decision import Constraints, Join
from tame_router.routing.router import Router
from tame_router.tenancy.snapshot import Snapshot
from tame_router.tenancy.tenant import ALL_SCOPES, EVERY_EXPERT, Tenant
from tame_router.v1 import expert_service_pb2, expert_service_pb2_grpc
from tests.admission.conftest import Recording, asks, calls
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

EXPERTS = sorted(QUESTIONS)
NAMES = st.sampled_from([*EXPERTS, "astrology"])
SETS = st.frozensets(NAMES, max_size=3)
GRANTS = st.frozensets(st.sampled_from([*EXPERTS, EVERY_EXPERT, "astrology"]))
PRIVATE = st.frozensets(st.sampled_from(EXPERTS))
TEXTS = st.sampled_from([text for pair in QUESTIONS.values() for text in pair]) | st.text(
    min_size=1, max_size=30
)
REVISIONS = st.sampled_from(["", "live", "legal--0000000000000000", "astrology--1"])


@st.composite
def wishes(draw: st.DrawFn) -> tuple[Constraints, str]:
    """Draw constraints, and which revision is wanted: `live` stands for the pinned one's."""
    constraints = Constraints(
        pin=draw(st.just("") | NAMES),
        allow=draw(SETS),
        deny=draw(SETS),
        max_experts=draw(st.integers(-1, 3)),
        join=draw(st.none() | st.just(Join.SINGLE)),
    )
    return constraints, draw(REVISIONS)


class Half:
    """A desk and the backend behind it."""

    def __init__(self, catalog: Catalog, router: Router) -> None:
        self.backend = Recording()
        self.catalog = catalog
        pipeline = Pipeline(
            LiveCatalog(catalog), router, SingleJoin(Dispatch({"local": self.backend}))
        )
        self.desk = Desk(LiveCatalog(catalog), pipeline)

    async def told(self, tenant: Tenant, text: str, constraints: Constraints) -> list[str]:
        """Write down all that a caller sees: decision, events, or the error."""
        seen: list[str] = []

        async def emit(event: Event) -> None:
            seen.append(_without_times(event))

        caller = calls(tenant)
        call = asks(caller, text, constraints)
        try:
            decision = await self.desk.route(caller, call.question.messages, constraints)
            seen.append(repr(msgspec.structs.replace(decision, elapsed_us=0)))
            await self.desk.answer(call, emit)
        except TameError as error:
            seen.append(f"{type(error)} {error.message} {error.metadata} {error.retry_after_s}")
        return seen


def _without_times(event: Event) -> str:
    values = msgspec.structs.asdict(event)
    for field in ("elapsed_s", "time_to_first_token_s"):
        values.pop(field, None)
    if "decision" in values:
        values["decision"] = msgspec.structs.replace(values["decision"], elapsed_us=0)
    return f"{type(event).__name__} {values}"


def hidden(catalog: Catalog, private: frozenset[str]) -> Catalog:
    """Make some experts private."""
    return Catalog(
        {
            name: dataclasses.replace(expert, private=name in private)
            for name, expert in catalog.experts.items()
        }
    )


def without(catalog: Catalog, tenant: Tenant) -> Catalog:
    """Give a catalog in which what a tenant may not use does not exist."""
    return Catalog({n: e for n, e in catalog.experts.items() if tenant.may_read(e)})


@settings(max_examples=150)
@given(GRANTS, PRIVATE, TEXTS, wishes())
async def test_nothing_forbidden_is_asked_or_told(
    catalog: Catalog,
    router: Router,
    grants: frozenset[str],
    private: frozenset[str],
    text: str,
    wished: tuple[Constraints, str],
) -> None:
    """Backends see granted revisions only; callers see what they would if there were no others."""
    tenant = Tenant(name="factory", read=grants)
    whole = Half(hidden(catalog, private), router)
    exists = without(whole.catalog, tenant)
    constraints, revision = wished
    if revision == "live":
        pinned = catalog.experts.get(constraints.pin)
        revision = pinned.live_revision if pinned else ""
    constraints = msgspec.structs.replace(constraints, revision=revision)
    told = await whole.told(tenant, text, constraints)
    granted = {expert.live_revision for expert in exists.experts.values()}
    prompts = {expert.prompt for expert in exists.experts.values()}
    for generation in whole.backend.asked:
        assert generation.revision in granted
        assert generation.messages[0].content in prompts
    part = Half(exists, router)
    everything = Tenant(name="factory", read=frozenset(exists.names))
    assert told == await part.told(everything, text, constraints)
    assert whole.desk.catalog(calls(tenant)) == exists
    said = {constraints.pin, *constraints.allow, *constraints.deny}
    for name in set(catalog.names) - set(exists.names) - said:
        assert name not in "".join(told).replace(constraints.revision or "\0", "").replace(text, "")


class ByName:
    """Knows a caller by the name it says: who may come in is another's test."""

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Believe the key."""
        if not credentials.api_key:
            raise UnauthenticatedError("no key")
        name = credentials.api_key[0]
        return Principal(tenant=name, subject=name, method=Method.API_KEY, scopes=ALL_SCOPES)

    async def close(self) -> None:
        """Hold nothing."""


class Known:
    """A directory of tenants that do not change."""

    def __init__(self, *tenants: Tenant) -> None:
        self._snapshot = Snapshot.of(tenants)

    def snapshot(self) -> Snapshot:
        """Give them."""
        return self._snapshot


@asynccontextmanager
async def serving(
    half: Half, *tenants: Tenant
) -> AsyncIterator["expert_service_pb2_grpc.ExpertServiceAsyncStub"]:
    """Serve `ExpertService` to some tenants, on a real port."""
    edge = EdgeInterceptor(Reception(ByName(), Known(*tenants)))
    server = grpc.aio.server(interceptors=[edge])
    expert_service_pb2_grpc.add_ExpertServiceServicer_to_server(ExpertServicer(half.desk), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield expert_service_pb2_grpc.ExpertServiceStub(channel)
    await server.stop(None)


async def listed(
    stub: "expert_service_pb2_grpc.ExpertServiceAsyncStub", tenant: Tenant
) -> list[bytes | str]:
    """Write down all that a caller is told of experts, page by page and name by name."""
    metadata = (("x-api-key", tenant.name), ("x-request-id", "id-12345"))
    told: list[bytes | str] = []
    token = ""
    for page_size in (0, 1, 1, 1, 1):
        request = expert_service_pb2.ListExpertsRequest(page_size=page_size, page_token=token)
        page = await stub.ListExperts(request, metadata=metadata)
        told.append(page.SerializeToString(deterministic=True))
        token = page.next_page_token
    for name in (*EXPERTS, "astrology"):
        try:
            found = await stub.GetExpert(
                expert_service_pb2.GetExpertRequest(name=name), metadata=metadata
            )
            told.append(found.SerializeToString(deterministic=True))
        except grpc.aio.AioRpcError as error:
            trailing = sorted((key, str(value)) for key, value in error.trailing_metadata())
            told.append(f"{error.code()} {error.details()} {trailing}")
    return told


@pytest.mark.parametrize(
    "grants", [(), ("legal",), (EVERY_EXPERT,), (EVERY_EXPERT, "medical"), ("general", "astrology")]
)
async def test_lists_over_grpc_are_those_of_a_service_without_the_expert(
    catalog: Catalog, router: Router, grants: tuple[str, ...]
) -> None:
    """Every byte of `ListExperts` and `GetExpert`, refusals and their details included."""
    whole = Half(hidden(catalog, frozenset({"medical", "electronics"})), router)
    tenant = Tenant(name="factory", read=frozenset(grants))
    exists = without(whole.catalog, tenant)
    everything = Tenant(name="factory", read=frozenset(exists.names))
    async with serving(whole, tenant) as stub:
        ours = await listed(stub, tenant)
    async with serving(Half(exists, router), everything) as stub:
        theirs = await listed(stub, everything)
    assert ours == theirs
    assert sum("NOT_FOUND" in told for told in ours if isinstance(told, str)) == 5 - len(
        exists.names
    )
