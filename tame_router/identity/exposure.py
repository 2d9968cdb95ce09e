"""Whether settings would let strangers in, or send keys in the clear. No clock, no network."""

import ipaddress

from tame_router.config import Settings
from tame_router.config_access import TlsSettings
from tame_router.errors import ConfigError


def require_safe(settings: Settings) -> None:
    """Make sure that a service with these settings is not open by accident.

    Raises:
        ConfigError: When it asks nobody who they are and can be reached from elsewhere, when
            keys would cross a network unencrypted, or when TLS is set up by halves.
    """
    _require_whole(settings.tls)
    for setting, host in _hosts(settings):
        if is_loopback(host):
            continue
        if settings.server.insecure:
            raise ConfigError(
                f"server.insecure asks nobody who they are, and {setting} is {host!r}, which"
                " others can reach; listen on 127.0.0.1, or turn server.insecure off"
            )
        if settings.tls.certificate is None and not settings.tls.terminated_elsewhere:
            raise ConfigError(
                f"{setting} is {host!r}, which others can reach, and there is no TLS: keys"
                " would cross the network unencrypted; set tls.certificate and tls.key, or"
                " tls.terminated_elsewhere where a proxy or mesh before this router does TLS,"
                " or listen on 127.0.0.1"
            )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    bare = host.removeprefix("[").removesuffix("]")
    if bare.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _hosts(settings: Settings) -> list[tuple[str, str]]:
    hosts = [("server.host", settings.server.host)]
    if settings.http.enabled and settings.http.host:
        hosts.append(("http.host", settings.http.host))
    return hosts


def _require_whole(tls: TlsSettings) -> None:
    wrong = {
        "tls.key": tls.certificate and not tls.key,
        "tls.certificate": not tls.certificate and (tls.key or tls.client_ca),
        "tls.client_ca": not tls.client_ca
        and (
            tls.client_crl
            or tls.require_client_certificate
            or tls.grpc_certificate_port is not None
        ),
    }
    for setting, missing in wrong.items():
        if missing:
            raise ConfigError(f"{setting} is not set, and another setting of tls needs it")
    if tls.certificate and tls.terminated_elsewhere:
        raise ConfigError(
            "tls.certificate and tls.terminated_elsewhere contradict each other: either this"
            " router does TLS or what stands before it; remove one of them"
        )
