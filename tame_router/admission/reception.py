"""The one place where credentials become a caller, for gRPC and HTTP alike."""

from tame_router.admission.caller import Caller
from tame_router.errors import UnauthenticatedError
from tame_router.identity.authenticator import NOT_KNOWN, Authenticator
from tame_router.identity.credentials import Credentials
from tame_router.identity.principal import ANYONE, Method
from tame_router.tenancy.directory import Directory
from tame_router.tenancy.tenant import EVERY_EXPERT, Tenant

EVERYONE = Tenant(name=ANYONE.tenant, read=frozenset((EVERY_EXPERT,)))
"""The tenant of every caller of a service that runs insecure."""


class Reception:
    """Finds out who calls, and for which tenant.

    Args:
        authenticator: Finds out who calls.
        directory: Knows the tenants; None: the service runs insecure.
    """

    def __init__(self, authenticator: Authenticator, directory: Directory | None = None) -> None:
        self._authenticator = authenticator
        self._directory = directory

    async def receive(self, credentials: Credentials) -> Caller:
        """Tell who calls.

        Raises:
            UnauthenticatedError: When nobody can tell, or the tenant is gone or suspended.
            StoreUnavailableError: When it cannot be looked up now.
        """
        principal = await self._authenticator.authenticate(credentials)
        if self._directory is None:
            if principal.method is not Method.NONE:
                raise RuntimeError("an identity without a directory of tenants")
            return Caller(principal=principal, tenant=EVERYONE)
        tenant = self._directory.snapshot().tenants.get(principal.tenant)
        if tenant is None or tenant.suspended:
            raise UnauthenticatedError(NOT_KNOWN)
        return Caller(principal=principal, tenant=tenant)

    async def close(self) -> None:
        """Let go of what is held."""
        await self._authenticator.close()
