"""What holds for a tenant here: the experts that exist for it, and the policies it is under."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from tame_router.canonical_json import digest
from tame_router.catalog.expert import Catalog
from tame_router.config_backends import FallbackSettings
from tame_router.routing.selection import SelectionPolicy
from tame_router.tenancy.tenant import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What holds for a tenant, worked out once for as long as tenant and experts are the same.

    Attributes:
        tenant: The tenant.
        source: All experts, as they stood.
        catalog: The experts that exist for it.
        visible: Their names; None: there is nobody it does not see.
        policy_digest: SHA-256 of the policies of routing and fallback and the tenant's own,
            hexadecimal.
    """

    tenant: Tenant
    source: Catalog
    catalog: Catalog
    visible: frozenset[str] | None
    policy_digest: str


def standing_of(
    tenant: Tenant,
    catalog: Catalog,
    policy: SelectionPolicy,
    fallback: FallbackSettings,
    *,
    everything: bool,
) -> Standing:
    """Work out what holds for a tenant.

    Args:
        tenant: The tenant.
        catalog: All experts.
        policy: The operator's rules of routing.
        fallback: Those of who answers where a backend is gone.
        everything: It sees every expert, private ones too.
    """
    experts = {
        name: expert
        for name, expert in catalog.experts.items()
        if everything or tenant.may_read(expert)
    }
    return Standing(
        tenant=tenant,
        source=catalog,
        catalog=Catalog(experts),
        visible=None if everything else frozenset(experts),
        policy_digest=digest(
            {
                "fallback": fallback.model_dump(mode="json"),
                "routing": _plain(policy),
                "tenant": _plain(tenant),
            }
        ),
    )


def _plain(value: Any) -> Any:
    """Give a value as JSON has it; sets in order."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, frozenset):
        return sorted(value)
    return value
