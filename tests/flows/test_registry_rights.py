"""Who may bring, see and publish which adapters, and how much: over gRPC, with keys."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tame_router import app
from tame_router.client.adapter import RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tame_router.errors import (
    ExpertNotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RevisionNotFoundError,
    TameError,
    UnauthenticatedError,
)
from tame_router.errors_registry import StorageFullError
from tame_router.identity import api_key
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.tenancy.snapshot import Snapshot
from tame_router.tenancy.tenant import EVERY_EXPERT, Limits, Scope, Tenant
from tests.identity.world import Known, kept
from tests.registry_fixture import Site, approved, decided, label, name_of, states
from tests.router_fixture import changed

pytestmark = pytest.mark.anyio

Clients = Mapping[str, AsyncClient]
PUBLISHER = frozenset((Scope.CHAT, Scope.PUBLISH))
UNKNOWN = "legal--0000000000000000"

SCOPES = {
    "hospital": PUBLISHER,
    "factory": PUBLISHER,
    "ungranted": PUBLISHER,
    "reader": frozenset((Scope.CHAT,)),
    "operator": frozenset((Scope.ADMIN,)),
}
GRANTS = {"hospital": {"legal", "general"}, "factory": {"medical"}, "reader": {"legal"}}


def tenant(name: str, **limits: int) -> Tenant:
    """Describe a tenant: it may ask everybody, and publish as its grants say."""
    return Tenant(
        name=name,
        read=frozenset({EVERY_EXPERT}),
        publish=frozenset(GRANTS.get(name, ())),
        limits=Limits(**limits),
    )


@asynccontextmanager
async def serving(
    site: Site, tenants: Collection[Tenant], settings: Settings | None = None
) -> AsyncIterator[Clients]:
    """Run a router that asks for keys, and give a client for each tenant, by its name."""
    keys = {one.name: api_key.make() for one in tenants}
    known = Snapshot.of(
        tenants, [kept(key, name, scopes=SCOPES[name]) for name, key in keys.items()]
    )
    secured = changed(settings or site.settings, server={"insecure": False})
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(app.running(secured, Known(known)))
        nobody = await stack.enter_async_context(AsyncClient(address, attempts=1))
        clients = {"nobody": nobody}
        for name, key in keys.items():
            client = AsyncClient(address, attempts=1, api_key=key.key)
            clients[name] = await stack.enter_async_context(client)
        yield clients


@pytest.fixture
async def clients(site: Site) -> AsyncIterator[Clients]:
    """Give clients of a router that knows five tenants."""
    async with serving(site, [tenant(name) for name in SCOPES]) as clients:
        yield clients


async def ways_in(client: AsyncClient, folder: Path, name: str) -> dict[str, TameError | None]:
    """Try all that can be asked about a revision of `legal`; give what each try met."""
    adapters = client.adapters

    async def watch() -> None:
        async with adapters.watch(name, timeout_s=5) as changes:
            await anext(changes)

    async def watch_expert() -> None:
        async with adapters.watch(expert="legal", after_sequence=0, timeout_s=5) as changes:
            await anext(changes)

    ways: dict[str, Any] = {
        "upload": lambda: adapters.upload(folder, "legal"),
        "validate": lambda: adapters.validate(folder, "legal"),
        "get": lambda: adapters.get(name),
        "list": lambda: adapters.list("legal"),
        "evaluate": lambda: adapters.evaluate(name),
        "publish": lambda: adapters.publish(name),
        "rollback": lambda: adapters.rollback("legal"),
        "retire": lambda: adapters.retire(name),
        "history": lambda: adapters.history("legal"),
        "watch": watch,
        "watch of the expert": watch_expert,
    }
    met: dict[str, TameError | None] = {}
    for way, ask in ways.items():
        try:
            await ask()
            met[way] = None
        except TameError as error:
            met[way] = error
    return met


async def test_without_the_scope_nothing_is_to_be_had(clients: Clients, site: Site) -> None:
    """Neither is anything told; and nothing of an upload is kept. Without a key: the same."""
    name = await approved(clients["hospital"], site.adapter())
    for who, kind in (("reader", PermissionDeniedError), ("nobody", UnauthenticatedError)):
        met = await ways_in(clients[who], site.adapter(1), name)
        assert {way: type(error) for way, error in met.items()} == dict.fromkeys(met, kind)
        with pytest.raises(kind):
            await clients[who].adapters.list()
    assert [one.name for one in (await clients["operator"].adapters.list()).revisions] == [name]
    assert await states(clients["operator"], name) == [RevisionState.APPROVED]
    assert not list((site.settings.state_dir / "uploads").glob("*"))


@pytest.mark.parametrize("who", ["factory", "ungranted"])
async def test_what_one_may_not_publish_does_not_exist(
    clients: Clients, site: Site, who: str
) -> None:
    """Another expert's revision is told from one that is not there by nothing."""
    name = await approved(clients["hospital"], site.adapter())
    met = await ways_in(clients[who], site.adapter(1), name)
    expert = {"upload", "validate", "list", "rollback", "history", "watch of the expert"}
    for way, error in met.items():
        wanted = ExpertNotFoundError if way in expert else RevisionNotFoundError
        assert isinstance(error, wanted), way
    absent = await ways_in(clients[who], site.adapter(1), UNKNOWN)
    for way, error in absent.items():
        told = str(met[way]).replace(name, UNKNOWN)
        assert str(error) == told, way
    assert (await clients[who].adapters.list()).revisions == ()
    assert await states(clients["hospital"], name) == [RevisionState.APPROVED]


async def test_each_sees_its_own(clients: Clients, site: Site) -> None:
    """Lists and watchers tell a tenant of the experts it publishes for, an operator of all."""
    legal = await approved(clients["hospital"], site.adapter())
    folder = site.adapter(1, "medical")
    medical = (await clients["factory"].adapters.upload(folder, "medical")).name
    assert (await decided(clients["factory"], medical)).state is RevisionState.APPROVED
    for who, own in (("hospital", [legal]), ("factory", [medical]), ("operator", [medical, legal])):
        adapters = clients[who].adapters
        assert [one.name for one in (await adapters.list()).revisions] == own
        async with adapters.watch(after_sequence=0, timeout_s=10) as changes:
            told = {(await anext(changes)).revision.name for _ in range(3 * len(own))}
        assert told == set(own)
    found = await clients["operator"].adapters.get(medical)
    assert found.tenant == "factory"
    assert found.subject


async def test_an_operator_may_do_all(clients: Clients, site: Site) -> None:
    """With `admin` and no grant; only it collects garbage. Who did what is recorded."""
    name = await approved(clients["hospital"], site.adapter())
    operator = clients["operator"]
    await operator.adapters.publish(name)
    assert (await label(clients["hospital"])).live == name
    (change,) = (await clients["hospital"].adapters.history("legal")).changes
    assert (change.tenant, bool(change.subject), bool(change.peer)) == ("operator", True, True)
    # It may publish for all experts, not for what is none.
    for ask in (operator.adapters.history, operator.adapters.rollback):
        with pytest.raises(ExpertNotFoundError, match="there is no expert 'astrology'"):
            await ask("astrology")
    assert (await label(operator, "medical")).generation == 0
    for who in ("hospital", "factory", "reader"):
        with pytest.raises(PermissionDeniedError):
            await clients[who].adapters.collect(dry_run=True)
    assert (await operator.adapters.collect()).revisions == ()


async def test_bytes_a_day_are_counted(site: Site) -> None:
    """What is sent counts once; what is here already, or goes on, does not; over it is told."""
    first, second = site.adapter(1), site.adapter(2)
    size = sum(path.stat().st_size for path in first.iterdir())
    tenants = [tenant("hospital", upload_bytes_per_day=size + size // 2), tenant("operator")]
    async with serving(site, tenants) as clients:
        adapters = clients["hospital"].adapters
        name = await approved(clients["hospital"], first)
        for _ in range(3):
            assert (await adapters.upload(first, "legal")).name == name
        with pytest.raises(QuotaExceededError) as caught:
            await adapters.upload(second, "legal")
        assert (caught.value.retry_after_s or 0) > 0
        with pytest.raises(QuotaExceededError):
            await adapters.validate(second, "legal")
        assert [one.name for one in (await adapters.list()).revisions] == [name]
        assert not list((site.settings.state_dir / "uploads").glob("*"))
        made = await clients["operator"].adapters.upload(second, "legal")
        assert made.name == name_of(second)


async def test_a_tenants_disk_is_counted(site: Site) -> None:
    """A tenant keeps so many bytes and no more; another tenant's are not counted to it."""
    first, second = site.adapter(1), site.adapter(2)
    size = sum(path.stat().st_size for path in first.iterdir())
    settings = site.changed(max_tenant_bytes=size + size // 2)
    async with serving(site, [tenant("hospital"), tenant("operator")], settings) as clients:
        adapters = clients["hospital"].adapters
        name = await approved(clients["hospital"], first)
        assert (await adapters.upload(first, "legal")).name == name
        with pytest.raises(StorageFullError, match="gc"):
            await adapters.upload(second, "legal")
        # A dry run keeps nothing, and needs no room.
        assert not (await adapters.validate(second, "legal")).refused
        assert [one.name for one in (await adapters.list()).revisions] == [name]
        assert not list((site.settings.state_dir / "uploads").glob("*"))
        assert await approved(clients["operator"], second)


async def test_two_at_once_take_no_more_room_than_there_is(site: Site) -> None:
    """Of two uploads that each find room, and not together, one is kept."""
    folders = site.adapter(1), site.adapter(2)
    size = sum(path.stat().st_size for path in folders[0].iterdir())
    ends: list[str] = []
    async with site.running(site.changed(max_tenant_bytes=size + size // 2)) as client:

        async def upload(folder: Path) -> None:
            try:
                ends.append((await client.adapters.upload(folder, "legal")).name)
            except StorageFullError:
                ends.append("")

        async with asyncio.TaskGroup() as group:
            for folder in folders:
                group.create_task(upload(folder))
        (kept_name,) = [end for end in ends if end]
        assert "" in ends
        assert [one.name for one in (await client.adapters.list()).revisions] == [kept_name]
        assert RevisionStore(str(site.store)).names() == [kept_name]
