"""What a certificate says: its names as bindings write them, its dates, and what it is for."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tame_router.identity.certificate import read_certificate
from tame_router.identity.client_certificates import ClientCertificates
from tame_router.identity.refusal import Reason, Refused
from tame_router.tenancy.access import BindingKind
from tame_router.tenancy.snapshot import Snapshot
from tame_router.tenancy.tenant import Scope
from tests.identity.world import HOUR, NOW, bound

USAGE = ExtendedKeyUsageOID


def made(*extensions: x509.ExtensionType, subject: dict[x509.ObjectIdentifier, str]) -> bytes:
    """Sign a certificate, DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in subject.items()])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - HOUR)
        .not_valid_after(NOW + HOUR)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


HIS = {
    NameOID.COUNTRY_NAME: "TW",
    NameOID.ORGANIZATION_NAME: "Hospital, Taipei",
    NameOID.COMMON_NAME: "his",
}
NAMES = x509.SubjectAlternativeName(
    [
        x509.RFC822Name("his@hospital.tw"),
        x509.UniformResourceIdentifier("spiffe://hospital/his"),
        x509.DNSName("HIS.Hospital.tw"),
    ]
)


def test_names_are_written_as_bindings_write_them() -> None:
    """The subject by RFC 4514, its comma escaped; alternative names with their kind."""
    found = read_certificate(made(NAMES, subject=HIS))
    assert found.subject == r"CN=his,O=Hospital\, Taipei,C=TW"
    assert found.names == (
        "dns:his.hospital.tw",
        "uri:spiffe://hospital/his",
        "email:his@hospital.tw",
    )
    assert (found.serial, found.end_time - found.begin_time) == (7, datetime.timedelta(hours=2))


def test_names_add_up() -> None:
    """Several bound names of one tenant: the first names the caller, the scopes are all theirs."""
    found = read_certificate(made(NAMES, subject=HIS))
    bindings = [
        bound(
            BindingKind.CERTIFICATE_SAN, "email:his@hospital.tw", scopes=frozenset((Scope.USAGE,))
        ),
        bound(BindingKind.CERTIFICATE_SAN, "uri:spiffe://hospital/his"),
    ]
    principal = ClientCertificates().identify(found, Snapshot.of([], bindings=bindings))
    assert principal is not None
    assert principal.subject == "uri:spiffe://hospital/his"
    assert principal.scopes == {Scope.USAGE, Scope.CHAT}


def test_a_name_of_one_kind_is_none_of_another() -> None:
    """A subject that reads like an alternative name is not taken for one, nor no name for one."""
    found = read_certificate(made(subject={NameOID.COMMON_NAME: "dns:his.hospital.tw"}))
    nameless = read_certificate(made(subject={}))
    bindings = [
        bound(BindingKind.CERTIFICATE_SAN, "dns:his.hospital.tw"),
        bound(BindingKind.CERTIFICATE_SAN, found.subject),
        bound(BindingKind.CERTIFICATE_SUBJECT, ""),
    ]
    snapshot = Snapshot.of([], bindings=bindings)
    assert ClientCertificates().identify(found, snapshot) is None
    assert ClientCertificates().identify(nameless, snapshot) is None


@pytest.mark.parametrize(
    ("uses", "taken"),
    [
        ((), True),
        ((USAGE.CLIENT_AUTH,), True),
        ((USAGE.ANY_EXTENDED_KEY_USAGE,), True),
        ((USAGE.SERVER_AUTH, USAGE.CLIENT_AUTH), True),
        ((USAGE.SERVER_AUTH,), False),
        ((USAGE.CODE_SIGNING, USAGE.EMAIL_PROTECTION), False),
    ],
)
def test_a_certificate_must_be_meant_for_clients(
    uses: tuple[x509.ObjectIdentifier, ...],
    taken: bool,
) -> None:
    """One that its authority made for servers or code proves no caller."""
    der = made(*([x509.ExtendedKeyUsage(uses)] if uses else []), subject=HIS)
    if taken:
        assert read_certificate(der).names == ()
        return
    with pytest.raises(Refused) as caught:
        read_certificate(der)
    assert caught.value.reason is Reason.CERTIFICATE_MALFORMED
