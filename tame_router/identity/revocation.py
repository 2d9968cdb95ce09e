"""Which client certificates their authorities have taken back."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from tame_router.errors import ConfigError
from tame_router.identity.certificate import ClientCertificate
from tame_router.identity.refusal import Reason, Refused
from tame_router.identity.watched_files import WatchedFiles

_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """What one authority has taken back.

    Attributes:
        serials: Numbers of the certificates that do not count any more.
        begin_time: When it was made, UTC.
        end_time: When the next is due, UTC: from then on this one says nothing.
    """

    serials: frozenset[int]
    begin_time: datetime
    end_time: datetime


Lists = Mapping[bytes, RevocationList]
"""By the authority's name, DER."""


class Revocation:
    """Checks certificates against the lists in a file, which is read again when it changes.

    Args:
        lists: PEM file of the lists.
        authorities: PEM file of the authorities that signed them.
        clock: Seconds on any steady clock.

    Raises:
        ConfigError: When a file cannot be read, or a list is not signed by an authority.
    """

    def __init__(
        self, lists: Path, authorities: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lists = WatchedFiles(
            (lists, authorities), lambda: _read_files(lists, authorities), clock
        )

    def require_unrevoked(self, certificate: ClientCertificate, now: datetime) -> None:
        """Make sure that a certificate has not been taken back.

        Raises:
            Refused: When it has, or when nobody can tell: its authority's list is missing
                or overdue.
        """
        found = self._lists.current().get(certificate.issuer)
        if found is None or now >= found.end_time:
            raise Refused(Reason.CERTIFICATE_UNCHECKED, certificate.subject)
        if certificate.serial in found.serials:
            raise Refused(Reason.CERTIFICATE_REVOKED, certificate.subject)


def _read_files(lists: Path, authorities: Path) -> Lists:
    try:
        return read_lists(
            lists.read_bytes(), x509.load_pem_x509_certificates(authorities.read_bytes())
        )
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"tls.client_crl {lists}: cannot be used: {error}; give PEM revocation lists of"
            f" the authorities in {authorities}"
        ) from error


def read_lists(pem: bytes, authorities: Sequence[x509.Certificate]) -> Lists:
    """Read revocation lists, the newest of each authority.

    Raises:
        ValueError: When there is none, or one cannot be read, is partial or not signed by
            one of the authorities.
    """
    found: dict[bytes, RevocationList] = {}
    for block in _LIST.findall(pem):
        crl = x509.load_pem_x509_crl(block)
        _verify(crl, authorities)
        issuer = crl.issuer.public_bytes()
        read = RevocationList(
            serials=frozenset(entry.serial_number for entry in crl),
            begin_time=crl.last_update_utc,
            # Without a date for the next one nobody can tell whether it is the newest.
            end_time=crl.next_update_utc or _NEVER,
        )
        known = found.get(issuer)
        if known is None or known.begin_time < read.begin_time:
            found[issuer] = read
    if not found:
        raise ValueError("it holds no revocation list")
    return found


def _verify(crl: x509.CertificateRevocationList, authorities: Sequence[x509.Certificate]) -> None:
    name = crl.issuer.rfc4514_string()
    # A critical extension says that the list is a part or a difference: not the whole truth.
    if any(extension.critical for extension in crl.extensions):
        raise ValueError(f"the list of {name} is not a whole list")
    own = [authority for authority in authorities if authority.subject == crl.issuer]
    if not any(_signed(crl, authority) for authority in own):
        raise ValueError(f"the list of {name} is signed by none of the authorities")


def _signed(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except (InvalidSignature, TypeError, UnsupportedAlgorithm):
        return False
