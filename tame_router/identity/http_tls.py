"""TLS of the ports, with files that may change while they serve."""

import ssl
import time
from collections.abc import Callable

from tame_router.config_access import TlsSettings
from tame_router.errors import ConfigError
from tame_router.identity.tls_files import read_material, tls_paths
from tame_router.identity.watched_files import WatchedFiles


def http_context(
    settings: TlsSettings, clock: Callable[[], float] = time.monotonic
) -> ssl.SSLContext | None:
    """Give the context of the HTTP port; None: it does no TLS.

    A client certificate is asked for where `client_ca` is set, verified where one comes, and
    required where the settings say so.

    Args:
        settings: The files.
        clock: Seconds on any steady clock.

    Raises:
        ConfigError: When a file cannot be used.
    """
    required = settings.require_client_certificate
    verify = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return _watched(settings, "http/1.1", verify, clock)


def grpc_context(
    settings: TlsSettings, *, certificates: bool, clock: Callable[[], float] = time.monotonic
) -> ssl.SSLContext | None:
    """Give the context of a gRPC port; None: it does no TLS.

    Args:
        settings: The files.
        certificates: Require client certificates; otherwise none is asked for.
        clock: Seconds on any steady clock.

    Raises:
        ConfigError: When a file cannot be used.
    """
    verify = ssl.CERT_REQUIRED if certificates else ssl.CERT_NONE
    return _watched(settings, "h2", verify, clock)


def _watched(
    settings: TlsSettings, protocol: str, verify: ssl.VerifyMode, clock: Callable[[], float]
) -> ssl.SSLContext | None:
    """Give a context that follows its files.

    A handshake looks at the files, at most once a second, and goes on with what they say
    then.
    """
    if settings.certificate is None or settings.terminated_elsewhere:
        return None
    contexts = WatchedFiles(
        tls_paths(settings), lambda: _context(settings, protocol, verify), clock
    )

    def choose(connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
        # OpenSSL asks at every handshake, with or without a name.
        connection.context = contexts.current()

    first = _context(settings, protocol, verify)
    first.sni_callback = choose
    return first


def _context(settings: TlsSettings, protocol: str, verify: ssl.VerifyMode) -> ssl.SSLContext:
    material = read_material(settings)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([protocol])
    # A resumed session skips the client's certificate: nobody would look at a new client_ca.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    try:
        context.load_cert_chain(str(settings.certificate), str(settings.key))
        if material.client_ca:
            context.load_verify_locations(cadata=material.client_ca.decode("ascii"))
            context.verify_mode = verify
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigError(f"tls: the files cannot be used together: {error}") from error
    return context
