"""TLS of the gRPC port, with files that may change while it serves.

gRPC for Python knows two ways with client certificates: require one, or never ask. Where
they are welcome and not required, a second port requires them (`tls.grpc_certificate_port`).
"""

import grpc

from tame_router.config_access import TlsSettings
from tame_router.identity.tls_files import TlsMaterial, read_material, tls_paths
from tame_router.identity.watched_files import WatchedFiles


def add_port(server: grpc.aio.Server, address: str, tls: TlsSettings, *, certificates: bool) -> int:
    """Take a port for gRPC's own library, and give its number.

    Args:
        server: The library's server.
        address: `host:port`.
        tls: The files; without any the port does no TLS.
        certificates: Require client certificates; otherwise none is asked for.

    Raises:
        ConfigError: When the files cannot be used.
        RuntimeError: When the port is not to be had.
    """
    if not tls.certificate or tls.terminated_elsewhere:
        return int(server.add_insecure_port(address))
    files = WatchedFiles(tls_paths(tls), lambda: read_material(tls))
    return int(
        server.add_secure_port(address, server_credentials(files, certificates=certificates))
    )


def server_credentials(
    files: WatchedFiles[TlsMaterial], *, certificates: bool
) -> grpc.ServerCredentials:
    """Give the credentials of a port; each handshake looks whether the files changed.

    Args:
        files: What the port does TLS with.
        certificates: Require client certificates; otherwise none is asked for.
    """
    first = files.current()
    return grpc.dynamic_ssl_server_credentials(
        _configuration(first, certificates=certificates),
        _Changes(files, first, certificates=certificates),  # type: ignore[arg-type]  # None: as it was
        require_client_authentication=certificates,
    )


class _Changes:
    """Tells gRPC what is new since it asked last; called by threads of gRPC's own."""

    def __init__(
        self, files: WatchedFiles[TlsMaterial], known: TlsMaterial, *, certificates: bool
    ) -> None:
        self._files = files
        self._known = known
        self._certificates = certificates

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        """Give the new files; None: they are as they were."""
        now = self._files.current()
        if now is self._known:
            return None
        self._known = now
        return _configuration(now, certificates=self._certificates)


def _configuration(
    material: TlsMaterial, *, certificates: bool
) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate)],
        root_certificates=material.client_ca if certificates else None,
    )
