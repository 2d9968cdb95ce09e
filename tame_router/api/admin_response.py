"""Turn tenants, keys and bindings into what administrators receive."""

import dataclasses
from collections.abc import Iterable
from datetime import date
from typing import Protocol

from tame_router.api.admin_request import BINDING_KINDS, SCOPES
from tame_router.api.grpc_moment import write_moment
from tame_router.tenancy.access import ApiKey, Binding
from tame_router.tenancy.tenant import Limits, Scope, Tenant
from tame_router.v1 import tenant_pb2

_SCOPES = {scope: proto for proto, scope in SCOPES.items()}
_KINDS = {kind: proto for proto, kind in BINDING_KINDS.items()}


class UsageLine(Protocol):
    """What one tenant used of one expert on one day; see `TenantUsage`."""

    @property
    def day(self) -> date:
        """The day, UTC."""

    @property
    def expert(self) -> str:
        """Name of the expert; empty: none was asked."""

    @property
    def requests(self) -> int:
        """Answers asked for."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens read."""

    @property
    def completion_tokens(self) -> int:
        """Tokens written."""

    @property
    def failures(self) -> int:
        """Answers among them that ended in an error."""


def write_tenant(tenant: Tenant) -> tenant_pb2.Tenant:
    """Write a tenant."""
    limits = tenant.limits
    return tenant_pb2.Tenant(
        name=tenant.name,
        title=tenant.title,
        read=sorted(tenant.read),
        publish=sorted(tenant.publish),
        joins=sorted(tenant.joins),
        priority=tenant.priority,
        limits=None if limits == Limits() else tenant_pb2.Limits(**dataclasses.asdict(limits)),
        retain_texts_days=tenant.retain_texts_days,
        suspended=tenant.suspended,
    )


def write_key(key: ApiKey) -> tenant_pb2.ApiKey:
    """Write what may be known of a key; never its digest."""
    return tenant_pb2.ApiKey(
        key_id=key.key_id,
        tenant=key.tenant,
        scopes=_write_scopes(key.scopes),
        title=key.title,
        create_time=write_moment(key.create_time),
        expire_time=write_moment(key.expire_time),
        revoke_time=write_moment(key.revoke_time),
    )


def write_binding(binding: Binding) -> tenant_pb2.Binding:
    """Write a binding."""
    return tenant_pb2.Binding(
        kind=_KINDS[binding.kind],
        name=binding.name,
        tenant=binding.tenant,
        scopes=_write_scopes(binding.scopes),
    )


def write_usage(line: UsageLine) -> tenant_pb2.TenantUsage:
    """Write a line of usage."""
    return tenant_pb2.TenantUsage(
        day=line.day.isoformat(),
        expert=line.expert,
        requests=line.requests,
        prompt_tokens=line.prompt_tokens,
        completion_tokens=line.completion_tokens,
        failures=line.failures,
    )


def _write_scopes(scopes: Iterable[Scope]) -> "list[tenant_pb2.Scope.ValueType]":
    return sorted(_SCOPES[scope] for scope in scopes)
