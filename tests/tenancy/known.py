"""Tenants, keys and bindings for tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tame_router.tenancy.access import ApiKey, Binding, BindingKind
from tame_router.tenancy.tenant import Limits, Scope, Tenant

NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOON + timedelta(days=7)

HOSPITAL = Tenant(
    name="hospital",
    title="醫院 😀 'quoted' %s",
    read=frozenset({"medical", "*"}),
    publish=frozenset({"medical"}),
    joins=frozenset({"single"}),
    priority=-3,
    limits=Limits(requests_per_minute=0, tokens_per_day=10**15, upload_bytes_per_day=2**40),
    retain_texts_days=30,
    suspended=True,
)
"""Every field differs from its default."""

FACTORY = Tenant(name="factory", read=frozenset({"manufacturing"}))


def key(key_id: str, tenant: str = "hospital", **fields: Any) -> ApiKey:
    """Give a key of which a test says what matters."""
    usual: dict[str, Any] = {
        "digest": key_id.encode().ljust(32, b"\x00"),
        "scopes": frozenset({Scope.CHAT}),
        "title": "",
        "create_time": NOON,
    }
    return ApiKey(key_id=key_id, tenant=tenant, **{**usual, **fields})


def binding(name: str, tenant: str = "hospital") -> Binding:
    """Give a binding of an alternative name."""
    return Binding(
        kind=BindingKind.CERTIFICATE_SAN,
        name=name,
        tenant=tenant,
        scopes=frozenset({Scope.CHAT, Scope.USAGE}),
    )
