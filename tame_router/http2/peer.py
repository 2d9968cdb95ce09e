"""Who is at the other end of a connection."""

import asyncio
import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A peer.

    Attributes:
        name: As gRPC names it: `ipv4:127.0.0.1:50051`.
        secure: Bytes go through TLS.
        protocol: What TLS was told that it speaks; empty: nothing.
        certificate: Its certificate, PEM; empty: it showed none.
    """

    name: str
    secure: bool = False
    protocol: str = ""
    certificate: bytes = b""

    @classmethod
    def of(cls, transport: asyncio.BaseTransport) -> "Peer":
        """Look who it is."""
        name = _name(transport.get_extra_info("peername"))
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls is None:
            return cls(name=name)
        der = tls.getpeercert(binary_form=True)
        return cls(
            name=name,
            secure=True,
            protocol=tls.selected_alpn_protocol() or "",
            certificate=ssl.DER_cert_to_PEM_cert(der).encode() if der else b"",
        )


NOBODY = Peer(name="")


def _name(address: object) -> str:
    if not isinstance(address, tuple):
        return "unix:"
    host, port = str(address[0]), address[1]
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
