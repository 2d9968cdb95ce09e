"""Check what administrators send, and turn it into our values."""

import dataclasses
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from tame_router.admission.key_issue import KeyWish, Rotation
from tame_router.errors import InvalidRequestError
from tame_router.tenancy.access import Binding, BindingKind
from tame_router.tenancy.tenant import Limits, Scope, Tenant
from tame_router.v1 import admin_key_pb2, admin_service_pb2, tenant_pb2

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
USAGE_DAYS = 30
MAX_USAGE_DAYS = 400

SCOPES = {
    tenant_pb2.SCOPE_CHAT: Scope.CHAT,
    tenant_pb2.SCOPE_PUBLISH: Scope.PUBLISH,
    tenant_pb2.SCOPE_USAGE: Scope.USAGE,
    tenant_pb2.SCOPE_METRICS: Scope.METRICS,
    tenant_pb2.SCOPE_ADMIN: Scope.ADMIN,
}
BINDING_KINDS = {
    tenant_pb2.BINDING_KIND_CERTIFICATE_SUBJECT: BindingKind.CERTIFICATE_SUBJECT,
    tenant_pb2.BINDING_KIND_CERTIFICATE_SAN: BindingKind.CERTIFICATE_SAN,
    tenant_pb2.BINDING_KIND_JWT: BindingKind.JWT,
}
_LIMITS = tuple(field.name for field in dataclasses.fields(Limits))

T = TypeVar("T")


def read_tenant(proto: tenant_pb2.Tenant) -> Tenant:
    """Read a tenant; what its fields may hold is checked where it is kept."""
    return Tenant(
        name=proto.name,
        title=proto.title,
        read=frozenset(proto.read),
        publish=frozenset(proto.publish),
        joins=frozenset(proto.joins),
        priority=proto.priority,
        limits=read_limits(proto.limits),
        retain_texts_days=proto.retain_texts_days,
        suspended=proto.suspended,
    )


def read_limits(proto: tenant_pb2.Limits) -> Limits:
    """Read limits; an absent one is none."""
    given = {
        name: getattr(proto, name)
        for name in _LIMITS
        if proto.HasField(name)  # type: ignore[arg-type]
    }
    return Limits(**given)


def read_update(proto: admin_service_pb2.UpdateTenantRequest) -> Callable[[Tenant], Tenant]:
    """Give the change that an update asks for; what is absent stays."""
    changes: dict[str, Any] = {
        name: getattr(proto, name)
        for name in ("title", "priority", "retain_texts_days", "suspended")
        if proto.HasField(name)
    }
    if proto.HasField("joins"):
        changes["joins"] = frozenset(proto.joins.names)
    if proto.HasField("limits"):
        changes["limits"] = read_limits(proto.limits)
    return lambda tenant: dataclasses.replace(tenant, **changes)


def read_scopes(protos: "Iterable[tenant_pb2.Scope.ValueType]", field: str) -> frozenset[Scope]:
    """Read scopes; none is `chat`.

    Raises:
        InvalidRequestError: When one of them is not known.
    """
    scopes = set()
    for index, proto in enumerate(protos):
        if proto not in SCOPES:
            raise InvalidRequestError(
                f"{field}[{index}] is {proto}; expected one of"
                f" {', '.join(map(tenant_pb2.Scope.Name, SCOPES))}",
                field=f"{field}[{index}]",
            )
        scopes.add(SCOPES[proto])
    return frozenset(scopes) or frozenset({Scope.CHAT})


def read_kind(proto: "tenant_pb2.BindingKind.ValueType", field: str) -> BindingKind:
    """Read what a name is.

    Raises:
        InvalidRequestError: When it is not known.
    """
    if proto not in BINDING_KINDS:
        raise InvalidRequestError(
            f"{field} is {proto}; expected one of"
            f" {', '.join(map(tenant_pb2.BindingKind.Name, BINDING_KINDS))}",
            field=field,
        )
    return BINDING_KINDS[proto]


def read_binding(proto: tenant_pb2.Binding) -> Binding:
    """Read a binding.

    Raises:
        InvalidRequestError: When kind or scopes are not known.
    """
    return Binding(
        kind=read_kind(proto.kind, "binding.kind"),
        name=proto.name,
        tenant=proto.tenant,
        scopes=read_scopes(proto.scopes, "binding.scopes"),
    )


def read_moment(proto: Any, field: str) -> datetime | None:
    """Read the time in a field of a message; None: it is absent.

    Raises:
        InvalidRequestError: When it is no time.
    """
    if not proto.HasField(field):
        return None
    moment: Timestamp = getattr(proto, field)
    try:
        return moment.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequestError(
            f"{field} has {moment.seconds} seconds and {moment.nanos} nanoseconds; expected a"
            " time in the years 1 to 9999",
            field=field,
        ) from None


def read_wish(proto: admin_key_pb2.CreateApiKeyRequest) -> KeyWish:
    """Read what a new key is to be.

    Raises:
        InvalidRequestError: When its scopes or its end cannot be read.
    """
    return KeyWish(
        tenant=proto.tenant,
        scopes=read_scopes(proto.scopes, "scopes"),
        title=proto.title,
        expire_time=read_moment(proto, "expire_time"),
        request_id=proto.request_id,
    )


def read_rotation(proto: admin_key_pb2.RotateApiKeyRequest) -> Rotation:
    """Read how a key is to be replaced.

    Raises:
        InvalidRequestError: When its times cannot be read.
    """
    return Rotation(
        key_id=proto.key_id,
        tenant=proto.tenant,
        overlap=_read_overlap(proto),
        expire_time=read_moment(proto, "expire_time"),
        request_id=proto.request_id,
    )


def _read_overlap(proto: admin_key_pb2.RotateApiKeyRequest) -> timedelta:
    try:
        return proto.overlap.ToTimedelta()
    except (ValueError, OverflowError):
        raise InvalidRequestError(
            f"overlap has {proto.overlap.seconds} seconds; expected 0 to 365 days", field="overlap"
        ) from None


def read_name(text: str, field: str) -> str:
    """Read a name that is looked for in the store.

    Raises:
        InvalidRequestError: When it holds a NUL, which not every database can look for.
    """
    if "\0" in text:
        raise InvalidRequestError(
            f"{field} is {text[:32]!r}; expected a name without NUL", field=field
        )
    return text


def read_days(proto: admin_service_pb2.GetUsageRequest, today: date) -> tuple[date, date]:
    """Read the first and the last day that are asked for.

    Raises:
        InvalidRequestError: When they are no days, or no span that is read at once.
    """
    end = _read_day(proto.end_day, "end_day") or today
    begin = _read_day(proto.begin_day, "begin_day") or end - timedelta(days=USAGE_DAYS)
    if not timedelta(0) <= end - begin <= timedelta(days=MAX_USAGE_DAYS):
        raise InvalidRequestError(
            f"{begin} to {end} is asked for; expected a first day before the last, and at most"
            f" {MAX_USAGE_DAYS} days",
            field="begin_day",
        )
    return begin, end


def _read_day(text: str, field: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # The earliest that leaves room for the days before it.
    if day is None or day.year < 1970:
        raise InvalidRequestError(
            f"{field} is {text[:32]!r}; expected a day such as 2026-11-24", field=field
        )
    return day


def page(
    items: Iterable[T], name: Callable[[T], str], size: int, token: str
) -> tuple[Sequence[T], str]:
    """Give a page of items and the next one's token; the token is the last name given.

    Raises:
        InvalidRequestError: When the size is out of range.
    """
    if not 0 <= size <= MAX_PAGE_SIZE:
        raise InvalidRequestError(
            f"page_size is {size}; expected 0 to {MAX_PAGE_SIZE}", field="page_size"
        )
    ordered = sorted(items, key=name)
    begin = bisect_right(ordered, token, key=name) if token else 0
    found = ordered[begin : begin + (size or DEFAULT_PAGE_SIZE)]
    more = begin + len(found) < len(ordered)
    return found, name(found[-1]) if more else ""
