"""Whose signatures count for a tenant, read from the files that the settings name.

They are read anew for each check: a key whose file is replaced counts, or no longer, at once.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from tame_router.config_registry import RegistrySettings, SigningSettings
from tame_router.errors import ConfigError

CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""Curves of the keys that `model-signing` reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A public key whose signatures count.

    Attributes:
        path: Its file.
        hint: SHA-256 of its PEM, 64 hexadecimal characters, by which signatures name it.
    """

    path: Path
    hint: str

    @property
    def name(self) -> str:
        """What records call it: its file's name and the beginning of its digest."""
        return f"{self.path.name} (key {self.hint[:16]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningPolicy:
    """Whose signatures count, and whether one is needed.

    Attributes:
        required: What is not signed is refused.
        keys: Keys that count.
        authorities: Files with authorities; certificates for signing that they issued count.
    """

    required: bool = False
    keys: tuple[KnownKey, ...] = ()
    authorities: tuple[Path, ...] = ()

    @property
    def knows_nobody(self) -> bool:
        """Nobody's signature counts."""
        return not self.keys and not self.authorities


class SigningPolicies:
    """The policies of all tenants.

    Args:
        settings: Name the files; all are read once, to find what is wrong at start.

    Raises:
        ConfigError: When one cannot be used, or a signature is required and nobody's counts.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        self._common = settings.signing
        self._tenants = dict(settings.signers)
        for tenant in ("", *self._tenants):
            policy = self.of(tenant)
            if policy.required and policy.knows_nobody:
                raise ConfigError(
                    f"{_section(tenant)}: signatures are required and nobody's count: name"
                    " public_keys or certificates"
                )

    def of(self, tenant: str) -> SigningPolicy:
        """Read the policy for a tenant's uploads.

        Raises:
            ConfigError: When a file cannot be used.
        """
        section = _section(tenant if tenant in self._tenants else "")
        return read_policy(self._tenants.get(tenant, self._common), section)


def read_policy(settings: SigningSettings, section: str = "") -> SigningPolicy:
    """Read the files that a section of the settings names.

    Args:
        settings: The section.
        section: What messages call it.

    Raises:
        ConfigError: When one cannot be used.
    """
    for path in settings.certificates:
        try:
            x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{section}certificates: {path} cannot be used ({error}): give PEM certificates"
            ) from error
    return SigningPolicy(
        required=settings.policy == "required",
        keys=tuple(_known_key(path, section) for path in settings.public_keys),
        authorities=settings.certificates,
    )


def _known_key(path: Path, section: str) -> KnownKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{section}public_keys: {path} cannot be used ({error}): give a PEM public key"
        ) from error
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise ConfigError(
            f"{section}public_keys: {path} is no key on one of the curves {', '.join(CURVES)}"
        )
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return KnownKey(path=path, hint=hashlib.sha256(pem).hexdigest())


def _section(tenant: str) -> str:
    return f"registry.signers.{tenant}." if tenant else "registry.signing."
