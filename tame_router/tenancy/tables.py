"""The tables of tenants, their grants, keys and bindings, and how rows become values."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    select,
)

from tame_router.store import METADATA
from tame_router.tenancy.access import ApiKey, Binding, BindingKind
from tame_router.tenancy.tenant import Limits, Scope, Tenant

LIMITS = tuple(field.name for field in fields(Limits))
"""Names of the limits, each a column."""

TENANT = Table(
    "tenant",
    METADATA,
    Column("name", String(63), primary_key=True),
    Column("title", Text, nullable=False),
    Column("joins", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("retain_texts_days", Integer, nullable=False),
    Column("suspended", Boolean, nullable=False),
    Column("request_id", String(64), nullable=False),
    *(Column(name, BigInteger) for name in LIMITS),
)

GRANT = Table(
    "tenant_grant",
    METADATA,
    Column("tenant", String(63), primary_key=True),
    Column("expert", String(64), primary_key=True),
    Column("access", String(8), primary_key=True),
)
"""`access` is `read` or `publish`."""

KEY = Table(
    "api_key",
    METADATA,
    Column("key_id", String(64), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    Column("expire_time_us", BigInteger),
    Column("revoke_time_us", BigInteger),
    # Absent rather than empty where the caller gave none: absent values are not alike.
    Column("request_id", String(64), unique=True),
    Index("api_key_tenant", "tenant"),
)
"""Times are microseconds since 1970 in UTC, which every database keeps alike."""

BINDING = Table(
    "tenant_binding",
    METADATA,
    Column("kind", String(32), primary_key=True),
    Column("name", String(512), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("scopes", Text, nullable=False),
    Index("tenant_binding_tenant", "tenant"),
)

GENERATION = Table(
    "tenancy_generation",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)
"""One row, counted up by every change: also the lock that puts changes one after another."""

TABLES = (TENANT, GRANT, KEY, BINDING, GENERATION)

READ = "read"
PUBLISH = "publish"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def load_tenants(connection: Connection, name: str | None = None) -> list[Tenant]:
    """Read all tenants with their grants, or the one of a name."""
    tenants, grants = select(TENANT), select(GRANT)
    if name is not None:
        tenants = tenants.where(TENANT.c.name == name)
        grants = grants.where(GRANT.c.tenant == name)
    return read_tenants(connection.execute(tenants), connection.execute(grants))


def write_tenant(tenant: Tenant) -> dict[str, Any]:
    """Give a tenant's own row, without its grants."""
    return {
        "name": tenant.name,
        "title": tenant.title,
        "joins": _joined(tenant.joins),
        "priority": tenant.priority,
        "retain_texts_days": tenant.retain_texts_days,
        "suspended": tenant.suspended,
        **{name: getattr(tenant.limits, name) for name in LIMITS},
    }


def write_grants(tenant: Tenant) -> list[dict[str, str]]:
    """Give the rows of a tenant's grants."""
    granted = ((READ, tenant.read), (PUBLISH, tenant.publish))
    return [
        {"tenant": tenant.name, "expert": expert, "access": access}
        for access, experts in granted
        for expert in sorted(experts)
    ]


def read_tenants(rows: Iterable[Row[Any]], grants: Iterable[Row[Any]]) -> list[Tenant]:
    """Put tenants together with their grants."""
    granted: dict[tuple[str, str], set[str]] = {}
    for tenant, expert, access in map(tuple, grants):
        granted.setdefault((tenant, access), set()).add(expert)
    return [_read_tenant(row, granted) for row in rows]


def _read_tenant(row: Row[Any], granted: Mapping[tuple[str, str], set[str]]) -> Tenant:
    name, title, joins, priority, retain_texts_days, suspended, _, *limits = tuple(row)
    return Tenant(
        name=name,
        title=title,
        read=frozenset(granted.get((name, READ), ())),
        publish=frozenset(granted.get((name, PUBLISH), ())),
        joins=frozenset(joins.split()),
        priority=priority,
        limits=Limits(**dict(zip(LIMITS, limits, strict=True))),
        retain_texts_days=retain_texts_days,
        suspended=suspended,
    )


def write_key(key: ApiKey, request_id: str = "") -> dict[str, Any]:
    """Give a key's row."""
    return {
        "key_id": key.key_id,
        "digest": key.digest,
        "request_id": request_id or None,
        "tenant": key.tenant,
        "scopes": _joined(key.scopes),
        "title": key.title,
        "create_time_us": _microseconds(key.create_time),
        "expire_time_us": key.expire_time and _microseconds(key.expire_time),
        "revoke_time_us": key.revoke_time and _microseconds(key.revoke_time),
    }


def read_key(row: Row[Any]) -> ApiKey:
    """Read a key."""
    # Taken apart at once: there may be many keys, and a row finds its columns by name slowly.
    key_id, digest, tenant, scopes, title, created, expires, revoked, _ = tuple(row)
    return ApiKey(
        key_id=key_id,
        digest=bytes(digest),
        tenant=tenant,
        scopes=_scopes(scopes),
        title=title,
        create_time=_moment(created),
        expire_time=None if expires is None else _moment(expires),
        revoke_time=None if revoked is None else _moment(revoked),
    )


def write_binding(binding: Binding) -> dict[str, str]:
    """Give a binding's row."""
    return {
        "kind": binding.kind.value,
        "name": binding.name,
        "tenant": binding.tenant,
        "scopes": _joined(binding.scopes),
    }


def read_binding(row: Row[Any]) -> Binding:
    """Read a binding."""
    return Binding(
        kind=BindingKind(row.kind), name=row.name, tenant=row.tenant, scopes=_scopes(row.scopes)
    )


def load_binding(connection: Connection, kind: BindingKind, name: str) -> Binding | None:
    """Read what a name is bound to; None: nothing."""
    same = (BINDING.c.kind == kind.value) & (BINDING.c.name == name)
    row = connection.execute(select(BINDING).where(same)).one_or_none()
    return read_binding(row) if row else None


def _joined(names: Iterable[str]) -> str:
    return " ".join(sorted(names))


@lru_cache(maxsize=64)
def _scopes(text: str) -> frozenset[Scope]:
    return frozenset(map(Scope, text.split()))


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
