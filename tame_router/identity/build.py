"""The authenticator that the settings ask for."""

import logging
from collections.abc import Callable

from tame_router.config import Settings
from tame_router.config_access import JwtSettings, TlsSettings
from tame_router.errors import ConfigError
from tame_router.identity.authenticator import Authenticator, Insecure
from tame_router.identity.client_certificates import ClientCertificates
from tame_router.identity.identity_authenticator import IdentityAuthenticator, Proofs
from tame_router.identity.jwks_source import JwksSource
from tame_router.identity.key_set import KeySet
from tame_router.identity.refusal import RefusalLog
from tame_router.identity.revocation import Revocation
from tame_router.identity.token_issuer import TokenIssuer
from tame_router.identity.tokens import Tokens
from tame_router.telemetry import log
from tame_router.tenancy.directory import Directory


def build_authenticator(
    settings: Settings,
    directory: Directory | None,
    on_refused: Callable[[str], None] = lambda _: None,
) -> Authenticator:
    """Build what finds out who calls.

    Args:
        settings: All settings.
        directory: Knows the tenants; None: the service runs insecure.
        on_refused: Called with the reason of each refusal, for metrics.

    Raises:
        ConfigError: When a setting or a file it names cannot be used.
    """
    if settings.server.insecure:
        log.event(
            logging.WARNING,
            "server.insecure",
            because="server.insecure is set: nobody is asked who they are",
        )
        return Insecure()
    if directory is None:
        raise RuntimeError("an identity without a directory of tenants")
    proofs = Proofs(
        tokens=Tokens(_issuer(section) for section in _distinct(settings.identity.jwt)),
        certificates=ClientCertificates(_revocation(settings.tls)),
    )
    return IdentityAuthenticator(directory, proofs, RefusalLog(on_refused))


def _distinct(sections: tuple[JwtSettings, ...]) -> tuple[JwtSettings, ...]:
    names = [section.issuer for section in sections]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"identity.jwt has two sections of the issuer {twice[0]!r}; write one for each"
        )
    return sections


def _issuer(section: JwtSettings) -> TokenIssuer:
    if any(character.isspace() for character in section.issuer):
        raise ConfigError(
            f"identity.jwt has the issuer {section.issuer!r}: expected no space in it; bindings"
            " write a tenant's name behind one"
        )
    if not (section.jwks_url or section.issuer).startswith(("https://", "file:///")):
        raise ConfigError(
            f"identity.jwt of the issuer {section.issuer!r}: expected jwks_url to be an"
            f" https:// or file:/// address, seen {section.jwks_url!r}; it may be left out"
            " only where the issuer is an https:// address with OpenID discovery"
        )
    source = JwksSource(section.issuer, section.jwks_url)
    return TokenIssuer(section, KeySet(section.issuer, source.fetch, section.refresh_s))


def _revocation(tls: TlsSettings) -> Revocation | None:
    if tls.client_crl is None or tls.client_ca is None:
        return None
    return Revocation(tls.client_crl, tls.client_ca)
