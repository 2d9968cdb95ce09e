"""`AdminService`: change tenants, their grants, their keys and the names they are known by."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, TypeVar

from tame_router.admission.key_issue import issue_key, rotate_key
from tame_router.api import admin_audit, admin_request, admin_response
from tame_router.api.admin_response import UsageLine
from tame_router.api.grpc_edge import Context, caller
from tame_router.audit.lookup import Kept, Place, Wanted
from tame_router.errors import UnsupportedError
from tame_router.identity.principal import Principal
from tame_router.tenancy.office import Office
from tame_router.tenancy.tenant import Scope
from tame_router.v1 import admin_key_pb2 as keys_pb
from tame_router.v1 import admin_service_pb2 as pb
from tame_router.v1 import admin_service_pb2_grpc

if TYPE_CHECKING:  # the database's library is loaded with it
    from tame_router.tenancy.administration import Administration

T = TypeVar("T")

Records = Callable[[Wanted, Place | None, int], Awaitable[Sequence[Kept]]]
"""Gives records of answers behind a place, at most so many."""

Usage = Callable[[str, date, date], Awaitable[Sequence[UsageLine]]]
"""Tells what a tenant has used from one day to another, both included."""


class AdminServicer(admin_service_pb2_grpc.AdminServiceServicer):
    """Serves `tame_router.v1.AdminService`.

    Args:
        office: Reads and changes tenants.
        usage: Tells what a tenant has used; None: nothing is recorded.
        records: Gives records of answers; None: as above.
    """

    def __init__(
        self, office: Office, usage: Usage | None = None, records: Records | None = None
    ) -> None:
        self._office = office
        self._usage = usage
        self._records = records

    async def CreateTenant(
        self, request: pb.CreateTenantRequest, context: Context
    ) -> pb.CreateTenantResponse:
        """Add a tenant."""
        made = await self._ask(
            lambda a: a.create(admin_request.read_tenant(request.tenant), request.request_id)
        )
        return pb.CreateTenantResponse(tenant=admin_response.write_tenant(made))

    async def GetTenant(
        self, request: pb.GetTenantRequest, context: Context
    ) -> pb.GetTenantResponse:
        """Give a tenant."""
        found = await self._ask(lambda a: a.tenant(request.name))
        return pb.GetTenantResponse(tenant=admin_response.write_tenant(found))

    async def ListTenants(
        self, request: pb.ListTenantsRequest, context: Context
    ) -> pb.ListTenantsResponse:
        """Give a page of tenants."""
        known = await self._ask(lambda a: a.snapshot())
        tenants, token = admin_request.page(
            known.tenants.values(), lambda t: t.name, request.page_size, request.page_token
        )
        return pb.ListTenantsResponse(
            tenants=map(admin_response.write_tenant, tenants), next_page_token=token
        )

    async def UpdateTenant(
        self, request: pb.UpdateTenantRequest, context: Context
    ) -> pb.UpdateTenantResponse:
        """Change what is said of a tenant."""
        made = await self._ask(lambda a: a.update(request.name, admin_request.read_update(request)))
        return pb.UpdateTenantResponse(tenant=admin_response.write_tenant(made))

    async def DeleteTenant(
        self, request: pb.DeleteTenantRequest, context: Context
    ) -> pb.DeleteTenantResponse:
        """Take a tenant away."""
        await self._ask(lambda a: a.delete(request.name))
        return pb.DeleteTenantResponse()

    async def GrantExpert(
        self, request: pb.GrantExpertRequest, context: Context
    ) -> pb.GrantExpertResponse:
        """Let a tenant use experts."""
        made = await self._ask(
            lambda a: a.grant(
                request.tenant, request.read, request.publish, new_expert=request.new_expert
            )
        )
        return pb.GrantExpertResponse(tenant=admin_response.write_tenant(made))

    async def RevokeExpert(
        self, request: pb.RevokeExpertRequest, context: Context
    ) -> pb.RevokeExpertResponse:
        """Let a tenant use experts no more."""
        made = await self._ask(lambda a: a.revoke(request.tenant, request.read, request.publish))
        return pb.RevokeExpertResponse(tenant=admin_response.write_tenant(made))

    async def CreateApiKey(
        self, request: keys_pb.CreateApiKeyRequest, context: Context
    ) -> keys_pb.CreateApiKeyResponse:
        """Make a key, and show it."""
        made = await self._ask(
            lambda a: issue_key(a, admin_request.read_wish(request), datetime.now(UTC))
        )
        return keys_pb.CreateApiKeyResponse(
            key=made.text, api_key=admin_response.write_key(made.kept)
        )

    async def ListApiKeys(
        self, request: keys_pb.ListApiKeysRequest, context: Context
    ) -> keys_pb.ListApiKeysResponse:
        """Give a page of a tenant's keys."""
        found = await self._ask(lambda a: a.keys(request.tenant))
        keys, token = admin_request.page(
            found, lambda k: k.key_id, request.page_size, request.page_token
        )
        return keys_pb.ListApiKeysResponse(
            api_keys=map(admin_response.write_key, keys), next_page_token=token
        )

    async def RotateApiKey(
        self, request: keys_pb.RotateApiKeyRequest, context: Context
    ) -> keys_pb.RotateApiKeyResponse:
        """Make a key in the place of another, and show it."""
        made = await self._ask(
            lambda a: rotate_key(a, admin_request.read_rotation(request), datetime.now(UTC))
        )
        return keys_pb.RotateApiKeyResponse(
            key=made.text, api_key=admin_response.write_key(made.kept)
        )

    async def RevokeApiKey(
        self, request: keys_pb.RevokeApiKeyRequest, context: Context
    ) -> keys_pb.RevokeApiKeyResponse:
        """Let a key count no more."""
        made = await self._ask(
            lambda a: a.revoke_key(request.key_id, datetime.now(UTC), tenant=request.tenant)
        )
        return keys_pb.RevokeApiKeyResponse(api_key=admin_response.write_key(made))

    async def BindIdentity(
        self, request: pb.BindIdentityRequest, context: Context
    ) -> pb.BindIdentityResponse:
        """Let a name stand for a tenant."""
        made = await self._ask(lambda a: a.bind(admin_request.read_binding(request.binding)))
        return pb.BindIdentityResponse(binding=admin_response.write_binding(made))

    async def UnbindIdentity(
        self, request: pb.UnbindIdentityRequest, context: Context
    ) -> pb.UnbindIdentityResponse:
        """Let a name stand for nobody."""
        await self._ask(
            lambda a: a.unbind(admin_request.read_kind(request.kind, "kind"), request.name)
        )
        return pb.UnbindIdentityResponse()

    async def ListBindings(
        self, request: pb.ListBindingsRequest, context: Context
    ) -> pb.ListBindingsResponse:
        """Give a page of a tenant's bindings."""
        found = await self._ask(lambda a: a.bindings(request.tenant))
        bindings, token = admin_request.page(
            found, lambda b: f"{b.kind} {b.name}", request.page_size, request.page_token
        )
        return pb.ListBindingsResponse(
            bindings=map(admin_response.write_binding, bindings), next_page_token=token
        )

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.GetUsageResponse:
        """Tell what a tenant has used."""
        tenant = _whose(request.tenant)
        begin, end = admin_request.read_days(request, datetime.now(UTC).date())
        if self._usage is None:
            raise UnsupportedError("this router records no usage; ask one that does")
        lines = await self._usage(tenant, begin, end)
        if not lines:
            await self._require_known(tenant)
        return pb.GetUsageResponse(usage=map(admin_response.write_usage, lines))

    async def ListAuditRecords(
        self, request: pb.ListAuditRecordsRequest, context: Context
    ) -> pb.ListAuditRecordsResponse:
        """Give a page of a tenant's records."""
        tenant = _whose(request.tenant)
        wanted = admin_audit.read_wanted(request, tenant)
        size, after = admin_audit.read_size(request), admin_audit.read_token(request.page_token)
        if self._records is None:
            raise UnsupportedError("this router records no answers; ask one that does")
        found = await self._records(wanted, after, size + 1)
        if not found:
            await self._require_known(tenant)
        more = len(found) > size
        return pb.ListAuditRecordsResponse(
            records=map(admin_audit.write_record, found[:size]),
            next_page_token=admin_audit.write_token(found[size - 1].place) if more else "",
        )

    async def _require_known(self, tenant: str) -> None:
        """Make sure that a tenant whose records are asked for is there.

        Raises:
            TenantNotFoundError: When it is not; whoever may ask for others may know that.
        """
        if tenant != caller().principal.tenant:
            await self._ask(lambda a: a.tenant(tenant))

    async def _ask(self, work: "Callable[[Administration], T]") -> T:
        principal = caller().principal
        principal.require(Scope.ADMIN)
        return await self._office.ask(_name(principal), work)


def _whose(tenant: str) -> str:
    """Give the tenant whose use or records the caller may read; empty: its own."""
    named = admin_request.read_name(tenant, "tenant")
    return caller().principal.require_for(named, Scope.USAGE)


def _name(principal: Principal) -> str:
    """Name who changes something, for the log."""
    return f"{principal.tenant}/{principal.subject}"
