"""The authenticator of a service that asks who calls: keys, tokens and certificates."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from tame_router.errors import UnauthenticatedError
from tame_router.identity import api_key
from tame_router.identity.authenticator import NOT_KNOWN
from tame_router.identity.bearer import read_bearer
from tame_router.identity.certificate import read_certificate
from tame_router.identity.client_certificates import ClientCertificates
from tame_router.identity.credentials import Credentials
from tame_router.identity.keyring import identify_key
from tame_router.identity.principal import Principal
from tame_router.identity.refusal import Reason, RefusalLog, Refused
from tame_router.identity.tokens import Tokens
from tame_router.tenancy.directory import Directory
from tame_router.tenancy.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What proves who calls, beside API keys.

    Attributes:
        tokens: Knows the issuers' tokens.
        certificates: Knows the client certificates.
    """

    tokens: Tokens
    certificates: ClientCertificates


class IdentityAuthenticator:
    """Finds out who calls, by exactly one proof.

    A key or token is the proof where one came; a certificate where none did. A wrong key is
    never rescued by a valid certificate. Beside a valid key or token a certificate is only
    transport: it must count (dates, revocation), and may not stand for another tenant.

    Args:
        directory: Knows the tenants.
        proofs: Knows tokens and certificates.
        refusals: Takes note of whoever is not let in.
        clock: The time now, UTC.
    """

    def __init__(
        self,
        directory: Directory,
        proofs: Proofs,
        refusals: RefusalLog,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._directory = directory
        self._proofs = proofs
        self._refusals = refusals
        self._clock = clock

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Tell who calls.

        Raises:
            UnauthenticatedError: When nobody can tell; the same words whatever was wrong.
            StoreUnavailableError: When what is known of tenants is too old to go by.
        """
        try:
            snapshot = self._directory.snapshot()
            principal = await self._identify(credentials, snapshot)
            tenant = snapshot.tenants.get(principal.tenant)
            if tenant and not tenant.suspended:
                return principal
            self._refusals.note(Refused(Reason.TENANT_CLOSED, principal.tenant))
        except Refused as refused:
            self._refusals.note(refused)
        raise UnauthenticatedError(NOT_KNOWN)

    async def close(self) -> None:
        """Let go of the threads that fetch keys."""
        self._proofs.tokens.close()

    async def _identify(self, credentials: Credentials, snapshot: Snapshot) -> Principal:
        bearer = read_bearer(credentials)
        now = self._clock()
        by_certificate = self._by_certificate(credentials, snapshot, now)
        if bearer:
            if bearer.startswith(api_key.PREFIX):
                principal = identify_key(bearer, snapshot, now)
            else:
                principal = await self._proofs.tokens.identify(bearer, snapshot, now)
            if by_certificate and by_certificate.tenant != principal.tenant:
                raise Refused(Reason.TENANTS_DIFFER, by_certificate.subject)
            return principal
        if by_certificate is None:
            raise _nobody(credentials)
        return by_certificate

    def _by_certificate(
        self, credentials: Credentials, snapshot: Snapshot, now: datetime
    ) -> Principal | None:
        if not credentials.certificate:
            return None
        certificates = self._proofs.certificates
        return certificates.identify(certificates.read(credentials.certificate, now), snapshot)


def _nobody(credentials: Credentials) -> Refused:
    if not credentials.certificate:
        return Refused(Reason.NOTHING)
    certificate = read_certificate(credentials.certificate)
    # As bindings write them: what the operator may want to bind.
    names = " ".join((certificate.subject, *certificate.names))
    return Refused(Reason.CERTIFICATE_UNBOUND, names)
