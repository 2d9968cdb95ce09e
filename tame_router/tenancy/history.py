"""What is remembered of tenants beside what they are now: the seam, and how a change is told."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from tame_router.tenancy.access import ApiKey, Binding
from tame_router.tenancy.tenant import Tenant

State = Tenant | ApiKey | Binding | None
"""What is changed; None: it is not there."""

SECRET = frozenset({"digest"})
"""Fields that are not told, not even to those who may read what was changed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What was done to a tenant, one of its keys, or a name that stands for it.

    Attributes:
        by: Who did it.
        tenant: Name of the tenant.
        what: `tenant`, `key` or `binding`.
        name: Which: the tenant's name, the key's id, or what is bound.
        before: The fields that are different now, as JSON values; empty: it was made.
        after: The same now; empty: it was taken away.
    """

    by: str
    tenant: str
    what: str
    name: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


class History(Protocol):
    """Remembers tenants, in the database that they are kept in.

    A connection is the store's own, in the transaction of a change.
    """

    def knows(self, connection: Any, tenant: str) -> bool:
        """Tell whether anything that a tenant of this name did is still recorded."""

    def add(self, connection: Any, change: Change) -> None:
        """Remember a change, together with which it is kept."""


class Forgetful:
    """Remembers nothing."""

    def knows(self, connection: Any, tenant: str) -> bool:
        """Tell that nothing is recorded."""
        return False

    def add(self, connection: Any, change: Change) -> None:
        """Forget it."""


def change_of(by: str, before: State, after: State) -> Change | None:
    """Give the change from one state to another; None: they are the same.

    Args:
        by: Who made it.
        before: What it was; None: it was not there.
        after: What it is, of the same kind; None: it is not there any more.
    """
    subject = after or before
    if before == after or subject is None:
        return None
    old, new = _facts(before), _facts(after)
    fields = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    what, name, tenant = _names(subject)
    return Change(
        by=by,
        tenant=tenant,
        what=what,
        name=name,
        before={field: old[field] for field in fields if field in old},
        after={field: new[field] for field in fields if field in new},
    )


def _names(subject: Tenant | ApiKey | Binding) -> tuple[str, ...]:
    """Give kind, name and tenant."""
    if isinstance(subject, Tenant):
        return "tenant", subject.name, subject.name
    if isinstance(subject, ApiKey):
        return "key", subject.key_id, subject.tenant
    return "binding", f"{subject.kind.value} {subject.name}", subject.tenant


def _facts(subject: State) -> dict[str, Any]:
    if subject is None:
        return {}
    return {
        field.name: _json(getattr(subject, field.name))
        for field in dataclasses.fields(subject)
        if field.name not in SECRET
    }


def _json(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(str(item) for item in value)
    if isinstance(value, datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: part for name, part in dataclasses.asdict(value).items() if part is not None}
    return str(value) if isinstance(value, str) else value
