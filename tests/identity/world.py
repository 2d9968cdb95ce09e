"""Tenants, their keys, authorities and issuers, for tests of who gets in."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tame_router.identity import api_key
from tame_router.identity.api_key import NewKey
from tame_router.tenancy.access import ApiKey, Binding, BindingKind
from tame_router.tenancy.snapshot import Snapshot
from tame_router.tenancy.tenant import ALL_SCOPES, EVERY_EXPERT, Scope, Tenant

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
CHAT = frozenset((Scope.CHAT,))
ISSUER = "https://login.example"
LONE_ISSUER = "https://one-key.example"
AUDIENCE = "tame-router"
LEEWAY_S = 30


@dataclass
class Known:
    """A directory that a test writes.

    Attributes:
        now: What it knows.
    """

    now: Snapshot = field(default_factory=Snapshot)

    def snapshot(self) -> Snapshot:
        """Give it."""
        return self.now


def kept(key: NewKey, tenant: str = "hospital", **values: Any) -> ApiKey:
    """Give what is kept of a key."""
    facts = {"scopes": CHAT, "title": "", "create_time": NOW - HOUR, **values}
    return ApiKey(key_id=key.key_id, digest=key.digest, tenant=tenant, **facts)


def bound(
    kind: BindingKind, name: str, tenant: str = "hospital", scopes: frozenset[Scope] = CHAT
) -> Binding:
    """Bind a name to a tenant."""
    return Binding(kind=kind, name=name, tenant=tenant, scopes=scopes)


class Signers:
    """The keys of an issuer: two that count, one that is gone, one of a stranger."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.gone = rsa.generate_private_key(65537, 2048)

    def jwks(self) -> dict[str, Any]:
        """Give the public keys."""
        return {"keys": [public_jwk(self.rsa, "r1"), public_jwk(self.ec, "e1")]}

    def lone_jwks(self) -> dict[str, Any]:
        """Give the public keys of the issuer that has one."""
        return {"keys": [public_jwk(self.ec, "only")]}

    def token(self, *, headers: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """Sign a token of today; a claim that is None is left out."""
        return jwt.encode(
            payload(**claims), self.rsa, algorithm="RS256", headers=dict(headers or {"kid": "r1"})
        )

    def hmac_token(self) -> str:
        """Sign a token with the public key as if it were a shared secret."""
        secret = self.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        signed = f"{part({'alg': 'HS256', 'kid': 'r1'})}.{part(payload())}"
        made = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def public_jwk(private: Any, kid: str, **values: Any) -> dict[str, Any]:
    """Write the public part of a key."""
    algorithm = RSAAlgorithm if isinstance(private, rsa.RSAPrivateKey) else ECAlgorithm
    written: dict[str, Any] = json.loads(algorithm.to_jwk(private.public_key()))
    return {**written, "kid": kid, "use": "sig", **values}


def payload(**claims: Any) -> dict[str, Any]:
    """Give the claims of a token of today; one that is None is left out."""
    now = int(time.time())
    every = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "dr-chen",
        "iat": now,
        "exp": now + 600,
        "tenant": "hospital",
        **claims,
    }
    return {name: value for name, value in every.items() if value is not None}


def at_seconds(seconds: float) -> int:
    """Give a moment from now, in seconds since 1970."""
    return int(time.time() + seconds)


def part(value: Any) -> str:
    """Write a part of a token."""
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def pem(leaf: trustme.LeafCert) -> bytes:
    """Give a certificate with its chain."""
    return b"".join(blob.bytes() for blob in leaf.cert_chain_pems)


def der(leaf: trustme.LeafCert) -> bytes:
    """Give a certificate."""
    return certificate(leaf).public_bytes(Encoding.DER)


def certificate(leaf: trustme.LeafCert) -> x509.Certificate:
    """Read a certificate."""
    return x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())


def revocation_list(
    authority: trustme.CA,
    *revoked: trustme.LeafCert,
    end_time: datetime | None = None,
    begin_time: datetime | None = None,
    signer: trustme.CA | None = None,
    extension: x509.ExtensionType | None = None,
) -> bytes:
    """Sign the revocation list of an authority, PEM."""
    own = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    begin = begin_time or NOW - HOUR
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(own.subject)
        .last_update(begin)
        .next_update(end_time or NOW + 24 * HOUR)
    )
    for leaf in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate(leaf).serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(begin).build())
    if extension:
        builder = builder.add_extension(extension, critical=True)
    key = load_pem_private_key((signer or authority).private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


class Pki:
    """Authorities and the certificates of a server and its callers."""

    def __init__(self) -> None:
        self.ca = trustme.CA(organization_name="Hospital CA")
        self.silent_ca = trustme.CA(organization_name="CA without a list")
        self.stranger_ca = trustme.CA(organization_name="Stranger CA")
        self.server = self.ca.issue_cert("localhost", "127.0.0.1")
        issue = self.ca.issue_cert
        self.subject = issue("his.hospital.example", common_name="his")
        self.san = issue("PACS.hospital.example")
        self.factory = issue("plc.factory.example")
        self.double = issue("pacs.hospital.example", "plc.factory.example")
        self.unbound = issue("nobody.example")
        self.revoked = issue("pacs.hospital.example", common_name="revoked")
        self.expired = issue(
            "pacs.hospital.example", not_before=NOW - 9 * HOUR, not_after=NOW - HOUR
        )
        self.early = issue("pacs.hospital.example", not_before=NOW + HOUR, not_after=NOW + 9 * HOUR)
        self.unlisted = self.silent_ca.issue_cert("pacs.hospital.example")
        self.stranger = self.stranger_ca.issue_cert("pacs.hospital.example")
        self.own = trustme.CA(organization_name="Self")

    def write(self, folder: Path) -> dict[str, Any]:
        """Write the files of a server, and give the settings `tls`."""
        files = {
            "certificate": pem(self.server),
            "key": self.server.private_key_pem.bytes(),
            "client_ca": self.ca.cert_pem.bytes() + self.silent_ca.cert_pem.bytes(),
            "client_crl": revocation_list(self.ca, self.revoked),
        }
        for name, data in files.items():
            (folder / f"{name}.pem").write_bytes(data)
            (folder / f"{name}.pem").chmod(0o600)
        return {name: folder / f"{name}.pem" for name in files}


class World:
    """Everything there is: who gets in, and with what."""

    def __init__(self, folder: Path) -> None:
        self.pki, self.signers = Pki(), Signers()
        self.good, self.other, self.expired, self.revoked, self.rotated, self.suspended = (
            api_key.make() for _ in range(6)
        )
        self.orphan, self.unknown = api_key.make(), api_key.make()
        (folder / "jwks.json").write_text(json.dumps(self.signers.jwks()))
        (folder / "lone.json").write_text(json.dumps(self.signers.lone_jwks()))
        self.tls = self.pki.write(folder)
        section = {"audience": AUDIENCE, "leeway_s": LEEWAY_S, "algorithms": ("RS256", "ES256")}
        self.identity = {
            "jwt": (
                {"issuer": ISSUER, "jwks_url": (folder / "jwks.json").as_uri(), **section},
                {"issuer": LONE_ISSUER, "jwks_url": (folder / "lone.json").as_uri(), **section},
            )
        }
        self.directory = Known(self._snapshot())

    def _snapshot(self) -> Snapshot:
        every = frozenset((EVERY_EXPERT,))
        san, token = BindingKind.CERTIFICATE_SAN, BindingKind.JWT
        subject = certificate(self.pki.subject).subject.rfc4514_string()
        return Snapshot.of(
            [
                Tenant(name="hospital", read=every),
                Tenant(name="factory", read=every),
                Tenant(name="closed", read=every, suspended=True),
            ],
            [
                kept(self.good),
                kept(self.other, "factory"),
                kept(self.expired, expire_time=NOW - HOUR),
                kept(self.revoked, revoke_time=NOW - HOUR),
                kept(self.rotated, revoke_time=NOW + HOUR),
                kept(self.suspended, "closed"),
                kept(self.orphan, "gone"),
            ],
            [
                bound(BindingKind.CERTIFICATE_SUBJECT, subject),
                bound(san, "dns:pacs.hospital.example", scopes=ALL_SCOPES),
                bound(san, "dns:plc.factory.example", "factory"),
                bound(token, f"{ISSUER} hospital", scopes=frozenset((Scope.CHAT, Scope.USAGE))),
                bound(token, f"{ISSUER} factory", "factory"),
                bound(token, f"{LONE_ISSUER} hospital"),
            ],
        )
