"""The certificate, key and trusted authorities of this server, as their files say."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from tame_router.config_access import TlsSettings
from tame_router.errors import ConfigError
from tame_router.telemetry import log

_OTHERS = 0o007
"""Permission bits of everyone who is neither the owner nor of the group."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TlsMaterial:
    """What a port does TLS with.

    Attributes:
        certificate: PEM chain of this server.
        key: PEM private key of this server.
        client_ca: PEM authorities whose client certificates are trusted; None: none.
    """

    certificate: bytes
    key: bytes
    client_ca: bytes | None


def tls_paths(settings: TlsSettings) -> tuple[Path, ...]:
    """Give the files that TLS needs, the revocation lists excepted."""
    return tuple(filter(None, (settings.certificate, settings.key, settings.client_ca)))


def read_material(settings: TlsSettings) -> TlsMaterial:
    """Read and check the files.

    Raises:
        ConfigError: When one cannot be used, or key and certificate are not a pair.
    """
    certificate, chain = _certificates("tls.certificate", settings.certificate)
    key = _read("tls.key", settings.key)
    _require_pair(settings, chain[0], key)
    _warn_of_readers(settings.key)
    if chain[0].not_valid_after_utc <= datetime.now(UTC):
        log.event(
            logging.ERROR,
            "tls.expired",
            certificate=str(settings.certificate),
            since=chain[0].not_valid_after_utc.isoformat(),
        )
    client_ca = None
    if settings.client_ca:
        client_ca, _ = _certificates("tls.client_ca", settings.client_ca)
    return TlsMaterial(certificate=certificate, key=key, client_ca=client_ca)


def _read(setting: str, path: Path | None) -> bytes:
    if path is None:
        raise ConfigError(f"{setting} is not set; tls.certificate and tls.key go together")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{setting} {path}: cannot be read: {error}") from error


def _certificates(setting: str, path: Path | None) -> tuple[bytes, list[x509.Certificate]]:
    pem = _read(setting, path)
    try:
        return pem, x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ConfigError(f"{setting} {path}: expected PEM certificates: {error}") from error


def _require_pair(settings: TlsSettings, certificate: x509.Certificate, key: bytes) -> None:
    try:
        public = load_pem_private_key(key, password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The library's words may quote the file.
        raise ConfigError(
            f"tls.key {settings.key}: expected a PEM private key without a password"
        ) from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise ConfigError(
            f"tls.key {settings.key} is not the key of tls.certificate {settings.certificate}"
        )


def _warn_of_readers(path: Path | None) -> None:
    if path and path.stat().st_mode & _OTHERS:
        log.event(logging.WARNING, "tls.key_exposed", key=str(path), advice=f"chmod o-rwx {path}")
