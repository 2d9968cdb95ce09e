"""What a signature file says of itself, before anything of it is believed.

Source: https://github.com/sigstore/protobuf-specs, `Bundle`; the payload of its envelope is
an in-toto statement.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tame_router.registry.revision_file import MOST_SIGNATURE_BYTES

METHOD = ("files", "sha256")
"""How the library digests by default, and manifests always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A signature as it describes itself.

    Attributes:
        key_hint: SHA-256 of the key that it says it was made with; empty: with a certificate.
        certificates: Its certificates, the signer's first; empty: it was made with a bare key.
    """

    key_hint: str
    certificates: tuple[x509.Certificate, ...]

    @property
    def signer(self) -> str:
        """The subject of its certificate, as in RFC 4514; empty: it has none."""
        return self.certificates[0].subject.rfc4514_string() if self.certificates else ""

    def check_fit(self, moment: datetime) -> None:
        """See that its certificate could sign at a moment.

        The library looks at the chain as of the first moment of the signer's certificate, and
        takes a server's certificate for a signer's.

        Raises:
            ValueError: When it could not.
        """
        for certificate in self.certificates:
            since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            if not since <= moment <= until:
                raise ValueError(f"a certificate of it was valid from {since} to {until} only")
        try:
            usage = self.certificates[0].extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        except x509.ExtensionNotFound:
            return
        if ExtendedKeyUsageOID.CODE_SIGNING not in usage.value:
            raise ValueError("its certificate is for other things than signing")


def read_bundle(signature: bytes) -> Bundle:
    """Read a signature file.

    Raises:
        ValueError: When it is none.
    """
    if len(signature) > MOST_SIGNATURE_BYTES:
        raise ValueError(f"it has {len(signature)} bytes, {MOST_SIGNATURE_BYTES} are read at most")
    try:
        document = json.loads(signature)
        material = document["verificationMaterial"]
        payload = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"], validate=True))
        serialization = payload["predicate"]["serialization"]
        method = serialization["method"], serialization["hash_type"]
        bundle = Bundle(
            key_hint=_key_hint(material),
            certificates=_certificates(material),
        )
    except (KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise ValueError("it is no signature of model-signing 1.1 or later") from error
    if method != METHOD:
        raise ValueError(f"it signs by {method!r}; expected {METHOD!r}, the library's default")
    return bundle


def _key_hint(material: dict[str, Any]) -> str:
    # Without one the library asks no further, and writes a line on the terminal.
    return str(material["publicKey"]["hint"]) if "publicKey" in material else ""


def _certificates(material: dict[str, Any]) -> tuple[x509.Certificate, ...]:
    chain = material.get("x509CertificateChain")
    certificates = chain["certificates"] if chain else []
    return tuple(
        x509.load_der_x509_certificate(base64.b64decode(certificate["rawBytes"], validate=True))
        for certificate in certificates
    )
