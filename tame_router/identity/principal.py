"""The principal: who calls, as far as it has been proved. One object for gRPC and HTTP."""

import enum
from dataclasses import dataclass

from tame_router.errors import PermissionDeniedError
from tame_router.tenancy.tenant import ALL_SCOPES, Scope


class Method(enum.StrEnum):
    """How a caller showed who it is."""

    API_KEY = "api_key"
    CERTIFICATE = "certificate"
    JWT = "jwt"
    NONE = "none"
    """Not at all: the service runs insecure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who calls.

    Attributes:
        tenant: Name of the tenant it belongs to.
        subject: Which key, certificate or person of that tenant; for records, never secret.
        method: How it showed that.
        scopes: What it may do.
    """

    tenant: str
    subject: str
    method: Method
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        """Make sure that the caller has a scope.

        Raises:
            PermissionDeniedError: When it has not.
        """
        if scope not in self.scopes:
            raise PermissionDeniedError(
                f"this takes the scope {scope.value!r}, which the caller's {self.method.value}"
                " does not have; ask the operator for one that has",
                metadata={"scope": scope.value},
            )

    def require_for(self, tenant: str, scope: Scope) -> str:
        """Make sure that the caller may do something for a tenant, and give the tenant's name.

        A scope is for the caller's own tenant; `admin` is for all, and has all others in it.

        Args:
            tenant: Name of the tenant; empty: the caller's own.
            scope: What it takes.

        Raises:
            PermissionDeniedError: When it may not.
        """
        named = tenant or self.tenant
        if Scope.ADMIN not in self.scopes:
            self.require(scope if named == self.tenant else Scope.ADMIN)
        return named


ANYONE = Principal(tenant="local", subject="anyone", method=Method.NONE, scopes=ALL_SCOPES)
"""Every caller of a service that runs insecure."""
