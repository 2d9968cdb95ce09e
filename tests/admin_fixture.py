"""A service with `AdminService` behind keys, and an administrator who has one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from tame_router.admission.key_issue import KeyWish, issue_key
from tame_router.admission.reception import Reception
from tame_router.api.admin_servicer import AdminServicer, Records, Usage
from tame_router.api.grpc_edge import EdgeInterceptor
from tame_router.audit.archive import Archive
from tame_router.audit.lookup import Kept, Place, Wanted
from tame_router.config import StoreSettings
from tame_router.config_access import TenantSettings
from tame_router.errors import UnauthenticatedError
from tame_router.identity import api_key
from tame_router.identity.authenticator import NOT_KNOWN
from tame_router.identity.credentials import Credentials
from tame_router.identity.principal import Method, Principal
from tame_router.store import Database
from tame_router.tenancy.directory import Directory
from tame_router.tenancy.office import Office
from tame_router.tenancy.tenant import Scope, Tenant
from tame_router.v1 import admin_key_pb2 as keys_pb
from tame_router.v1 import admin_service_pb2_grpc, tenant_pb2

NEVER = TenantSettings(refresh_s=3600, stale_s=3600)
"""A change is seen by whom made it only."""


class Keys:
    """Knows callers by their API keys.

    Args:
        directory: Knows the keys.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Tell whose key it is."""
        for text in credentials.api_key:
            key = self._directory.snapshot().keys.get(api_key.parse(text) or "")
            if key and api_key.matches(text, key.digest) and key.counts(datetime.now(UTC)):
                return Principal(
                    tenant=key.tenant,
                    subject=key.key_id,
                    method=Method.API_KEY,
                    scopes=key.scopes,
                )
        raise UnauthenticatedError(NOT_KNOWN)

    async def close(self) -> None:
        """Hold nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of usage."""

    day: date
    expert: str = "medical"
    requests: int = 3
    prompt_tokens: int = 10
    completion_tokens: int = 20
    failures: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service with an administrator.

    Attributes:
        stub: Calls it.
        directory: What it knows of tenants.
        key: The administrator's.
        usage: What was asked of the books.
        database: Where records are kept.
    """

    stub: Any
    directory: Directory
    key: str
    usage: list[tuple[str, date, date]]
    database: Database

    async def call(self, method: str, request: Any, key: str | None = None) -> Any:
        """Call a method, as the administrator where no key is given."""
        return await getattr(self.stub, method)(
            request, metadata=(("x-api-key", self.key if key is None else key),)
        )

    async def key_for(self, tenant: str, *scopes: tenant_pb2.Scope.ValueType) -> str:
        """Make a key for a tenant."""
        request = keys_pb.CreateApiKeyRequest(tenant=tenant, scopes=scopes)
        return str((await self.call("CreateApiKey", request)).key)


def key_id(text: str) -> str:
    """Give the id of a key that is well formed."""
    return api_key.parse(text) or ""


@asynccontextmanager
async def served(
    office: Office, settings: TenantSettings, usage: Usage | None, records: Records | None = None
) -> AsyncIterator[tuple[Any, Directory]]:
    """Serve `AdminService` behind the edge."""
    directory = await office.open_directory(settings)
    server = grpc.aio.server(interceptors=[EdgeInterceptor(Reception(Keys(directory), directory))])
    servicer = AdminServicer(office, usage, records)
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield admin_service_pb2_grpc.AdminServiceStub(channel), directory
    finally:
        await server.stop(None)


@pytest.fixture(name="service")
async def administered_service(
    store_settings: StoreSettings, tmp_path: Path
) -> AsyncIterator[Service]:
    """Give a service that reads its store only when it changes something itself."""
    office = Office(store_settings, tmp_path, lambda: ("legal", "medical"))
    asked: list[tuple[str, date, date]] = []

    async def usage(tenant: str, begin: date, end: date) -> list[Line]:
        asked.append((tenant, begin, end))
        return [] if tenant == "nobody" else [Line(day=end)]

    database = Database(store_settings, tmp_path)
    archive = Archive(database)

    async def records(wanted: Wanted, after: Place | None, most: int) -> list[Kept]:
        return archive.page(wanted, after, most)

    await office.ask("command", lambda a: a.create(Tenant(name="operations")))
    wish = KeyWish(tenant="operations", scopes=frozenset({Scope.ADMIN}))
    made = await office.ask("command", lambda a: issue_key(a, wish, datetime.now(UTC)))
    try:
        async with served(office, NEVER, usage, records) as (stub, directory):
            yield Service(
                stub=stub, directory=directory, key=made.text, usage=asked, database=database
            )
    finally:
        database.close()
        await office.close()
