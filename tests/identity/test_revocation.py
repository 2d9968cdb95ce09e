"""Revocation lists: signed, whole, in time, or nobody gets in by that authority."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from tame_router.errors import ConfigError
from tame_router.identity.certificate import read_certificate
from tame_router.identity.refusal import Reason, Refused
from tame_router.identity.revocation import Revocation
from tests.identity.world import HOUR, NOW, der, revocation_list

CA, OTHER = trustme.CA(organization_name="One"), trustme.CA(organization_name="Two")
LEAF, SECOND = CA.issue_cert("a.example"), OTHER.issue_cert("b.example")


def reason(revocation: Revocation, leaf: trustme.LeafCert, now: object = NOW) -> Reason | None:
    """Tell why a certificate is refused; None: it is not."""
    try:
        revocation.require_unrevoked(read_certificate(der(leaf)), now)  # type: ignore[arg-type]
    except Refused as refused:
        return refused.reason
    return None


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Revocation]:
    """Write lists beside both authorities, and load them."""

    def write(*lists: bytes, clock: Callable[[], float] = lambda: 0.0) -> Revocation:
        (tmp_path / "ca").write_bytes(CA.cert_pem.bytes() + OTHER.cert_pem.bytes())
        (tmp_path / "crl").write_bytes(b"text between\n".join(lists))
        return Revocation(tmp_path / "crl", tmp_path / "ca", clock)

    return write


def test_each_authority_has_its_list(load: Callable[..., Revocation]) -> None:
    """Several lists in one file; a number that one has taken back is fine at the other."""
    both = load(revocation_list(CA, LEAF), revocation_list(OTHER))
    assert reason(both, LEAF) is Reason.CERTIFICATE_REVOKED
    assert reason(both, SECOND) is None
    assert reason(load(revocation_list(CA)), SECOND) is Reason.CERTIFICATE_UNCHECKED


def test_the_newest_list_counts(load: Callable[..., Revocation]) -> None:
    """Whatever the order in the file."""
    old = revocation_list(CA, begin_time=NOW - 9 * HOUR)
    new = revocation_list(CA, LEAF)
    for lists in ((old, new), (new, old)):
        assert reason(load(*lists), LEAF) is Reason.CERTIFICATE_REVOKED


def test_an_overdue_list_lets_nobody_in(load: Callable[..., Revocation]) -> None:
    """From the moment that the next list is due, nobody can tell."""
    due = revocation_list(CA, end_time=NOW + HOUR)
    found = load(due)
    assert reason(found, LEAF, NOW + HOUR - timedelta(seconds=2)) is None
    assert reason(found, LEAF, NOW + HOUR) is Reason.CERTIFICATE_UNCHECKED


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        (b"", "holds no revocation list"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "cannot be used"),
        (revocation_list(CA, signer=OTHER), "signed by none of the authorities"),
        (revocation_list(trustme.CA()), "signed by none of the authorities"),
        (revocation_list(CA, extension=x509.DeltaCRLIndicator(1)), "not a whole list"),
    ],
)
def test_a_list_that_proves_nothing_stops_the_start(
    load: Callable[..., Revocation], pem: bytes, words: str
) -> None:
    """A forged, foreign, partial or damaged list is named."""
    with pytest.raises(ConfigError, match=words):
        load(pem)


def test_a_new_list_counts_within_a_second(load: Callable[..., Revocation], tmp_path: Path) -> None:
    """The file is read again when it changes; a forged one changes nothing."""
    now = [0.0]
    found = load(revocation_list(CA), clock=lambda: now[0])
    assert reason(found, LEAF) is None
    (tmp_path / "crl").write_bytes(revocation_list(CA, signer=OTHER))
    now[0] = 2.0
    assert reason(found, LEAF) is None
    (tmp_path / "crl").write_bytes(revocation_list(CA, LEAF))
    now[0] = 4.0
    assert reason(found, LEAF) is Reason.CERTIFICATE_REVOKED
