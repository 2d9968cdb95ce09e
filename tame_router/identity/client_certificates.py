"""From a client certificate to a principal."""

from collections.abc import Iterator
from datetime import datetime

from tame_router.identity.certificate import ClientCertificate, read_certificate
from tame_router.identity.principal import Method, Principal
from tame_router.identity.refusal import Reason, Refused
from tame_router.identity.revocation import Revocation
from tame_router.tenancy.access import Binding, BindingKind
from tame_router.tenancy.snapshot import Snapshot


class ClientCertificates:
    """Finds out whom certificates stand for.

    Args:
        revocation: Knows what was taken back; None: nothing is.
    """

    def __init__(self, revocation: Revocation | None = None) -> None:
        self._revocation = revocation

    def read(self, der: bytes, now: datetime) -> ClientCertificate:
        """Read a certificate that counts now.

        TLS looks at the dates and the chain when a connection begins; connections last for
        weeks, so that dates and revocation are looked at again at each call.

        Raises:
            Refused: When it cannot be read, is not valid now, or was taken back.
        """
        certificate = read_certificate(der)
        if not certificate.begin_time <= now < certificate.end_time:
            raise Refused(Reason.CERTIFICATE_TIME, certificate.subject)
        if self._revocation:
            self._revocation.require_unrevoked(certificate, now)
        return certificate

    def identify(self, certificate: ClientCertificate, snapshot: Snapshot) -> Principal | None:
        """Tell whom a certificate stands for; None: for nobody here.

        Raises:
            Refused: When its names stand for several tenants.
        """
        found = list(_bindings(certificate, snapshot))
        if not found:
            return None
        if len({binding.tenant for binding in found}) > 1:
            raise Refused(Reason.TENANTS_DIFFER, certificate.subject)
        return Principal(
            tenant=found[0].tenant,
            subject=found[0].name,
            method=Method.CERTIFICATE,
            scopes=frozenset().union(*(binding.scopes for binding in found)),
        )


def _bindings(certificate: ClientCertificate, snapshot: Snapshot) -> Iterator[Binding]:
    names = [(BindingKind.CERTIFICATE_SUBJECT, certificate.subject)]
    names += [(BindingKind.CERTIFICATE_SAN, name) for name in certificate.names]
    for name in names:
        binding = snapshot.bindings.get(name)
        if binding and binding.name:  # a certificate may have no subject
            yield binding
