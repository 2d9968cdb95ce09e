"""A tenant: who it is, what it may use and how much of it. Values only."""

import enum
from dataclasses import dataclass, field

from tame_router.catalog.expert import Expert

EVERY_EXPERT = "*"
"""A grant of all experts that are not private."""


class Scope(enum.StrEnum):
    """What a key, certificate or token lets its bearer do."""

    CHAT = "chat"
    """Ask, see the decision and the experts, give feedback."""
    PUBLISH = "publish"
    """Bring adapters, for the experts that the tenant is granted to publish."""
    USAGE = "usage"
    """Read the tenant's own usage and audit records."""
    METRICS = "metrics"
    """Read the service's metrics."""
    ADMIN = "admin"
    """Change tenants, grants and keys, of all tenants."""


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a tenant may use; None: as much as it wants.

    Attributes:
        requests_per_minute: Requests in a minute, ≥ 0: answers begun, decisions asked for,
            feedback given.
        requests_per_day: The same in a day, ≥ 0.
        tokens_per_minute: Tokens read and written in a minute, ≥ 0.
        tokens_per_day: Tokens read and written in a day, ≥ 0.
        concurrent_streams: Answers under way at once, ≥ 0.
        upload_bytes_per_day: Bytes of adapters brought in a day, ≥ 0.
    """

    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    concurrent_streams: int | None = None
    upload_bytes_per_day: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An organisation, or a part of one, that uses this service.

    Attributes:
        name: Lower-case letters, digits and hyphens, 2 to 63; it never changes.
        title: What people call it; may be empty.
        read: Experts it may ask, by name; `*`: all that are not private.
        publish: Experts it may bring adapters for, by name.
        joins: Joins it may ask for, by name; empty: all.
        priority: Who goes first when there is more work than capacity: higher before lower.
        limits: How much it may use.
        retain_texts_days: How long questions and answers are kept for it; 0: never.
        suspended: Nothing is answered to it.
    """

    name: str
    title: str = ""
    read: frozenset[str] = frozenset()
    publish: frozenset[str] = frozenset()
    joins: frozenset[str] = frozenset()
    priority: int = 0
    limits: Limits = field(default_factory=Limits)
    retain_texts_days: int = 0
    suspended: bool = False

    def may_read(self, expert: Expert) -> bool:
        """Tell whether an expert exists for this tenant."""
        return expert.name in self.read or (EVERY_EXPERT in self.read and not expert.private)
