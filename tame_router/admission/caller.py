"""A caller: its proved identity, and its tenant as it stood when the call began."""

import msgspec

from tame_router.identity.principal import Principal
from tame_router.tenancy.tenant import Tenant


class Caller(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who calls, and for which tenant."""

    principal: Principal
    tenant: Tenant

    @property
    def facts(self) -> dict[str, str]:
        """Who calls, for the log."""
        return {"tenant": self.tenant.name, "subject": self.principal.subject}
