"""All tenants, keys and bindings as they stood at one moment. Values only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tame_router.tenancy.access import ApiKey, Binding, BindingKind
from tame_router.tenancy.tenant import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is known of tenants.

    Attributes:
        tenants: By name.
        keys: By key id; expired and revoked ones too.
        bindings: By kind and name.
        generation: Grows with every change in the store.
    """

    tenants: Mapping[str, Tenant] = field(default_factory=dict)
    keys: Mapping[str, ApiKey] = field(default_factory=dict)
    bindings: Mapping[tuple[BindingKind, str], Binding] = field(default_factory=dict)
    generation: int = 0

    @classmethod
    def of(
        cls,
        tenants: Iterable[Tenant],
        keys: Iterable[ApiKey] = (),
        bindings: Iterable[Binding] = (),
        generation: int = 0,
    ) -> "Snapshot":
        """Put a snapshot together."""
        return cls(
            tenants={tenant.name: tenant for tenant in tenants},
            keys={key.key_id: key for key in keys},
            bindings={(binding.kind, binding.name): binding for binding in bindings},
            generation=generation,
        )
