"""What a client certificate says, read once."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tame_router.identity.refusal import Reason, Refused

_CLIENT_USES = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """What counts of a certificate.

    Attributes:
        subject: Distinguished name, RFC 4514: `CN=his,O=Hospital`.
        names: Alternative names, in their order: `dns:…` in lower case, `uri:…`, `email:…`.
        begin_time: From when it is valid, UTC.
        end_time: Until when it is valid, UTC.
        issuer: Name of its authority, DER.
        serial: Its number at that authority.
    """

    subject: str
    names: tuple[str, ...]
    begin_time: datetime
    end_time: datetime
    issuer: bytes
    serial: int


@lru_cache(maxsize=1024)
def read_certificate(der: bytes) -> ClientCertificate:
    """Read a certificate whose chain TLS has verified.

    Raises:
        Refused: When it cannot be read, or is not for clients.
    """
    try:
        found = x509.load_der_x509_certificate(der)
        subject = found.subject.rfc4514_string()
        if not _for_clients(found):
            raise Refused(Reason.CERTIFICATE_MALFORMED, subject)
        return ClientCertificate(
            subject=subject,
            names=_names(found),
            begin_time=found.not_valid_before_utc,
            end_time=found.not_valid_after_utc,
            issuer=found.issuer.public_bytes(),
            serial=found.serial_number,
        )
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise Refused(Reason.CERTIFICATE_MALFORMED) from None


def _for_clients(found: x509.Certificate) -> bool:
    """Tell whether its authority meant it for clients; without a word on uses, for all."""
    try:
        uses = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return any(use in _CLIENT_USES for use in uses)


def _names(found: x509.Certificate) -> tuple[str, ...]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    dns = (f"dns:{name.lower()}" for name in names.get_values_for_type(x509.DNSName))
    uris = (f"uri:{name}" for name in names.get_values_for_type(x509.UniformResourceIdentifier))
    mails = (f"email:{name}" for name in names.get_values_for_type(x509.RFC822Name))
    return (*dns, *uris, *mails)
