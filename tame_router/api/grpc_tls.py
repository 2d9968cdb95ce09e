"""TLS of the gRPC port, with files that may change while it serves.

gRPC for Python knows two ways with client certificates: require one, or never ask. Where
they are welcome and not required, a second port requires them (`tls.grpc_certificate_port`).
"""

import grpc

from tame_router.identity.tls_files import TlsMaterial
from tame_router.identity.watched_files import WatchedFiles


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
