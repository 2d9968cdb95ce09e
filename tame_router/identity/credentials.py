"""What a caller brings to show who it is, as the edges found it. Values only."""

import msgspec


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What came with a call; nothing of it is proved but the certificate's chain.

    Attributes:
        authorization: Every `authorization` header or metadata value, in order.
        api_key: Every `x-api-key` header or metadata value, in order.
        certificate: The client certificate that TLS has verified against the trusted
            authorities, DER; empty: none.
    """

    authorization: tuple[str, ...] = ()
    api_key: tuple[str, ...] = ()
    certificate: bytes = b""

    def __repr__(self) -> str:
        """Tell what there is, and nothing of it: secrets must not reach a log."""
        found = [
            name for name in ("authorization", "api_key", "certificate") if getattr(self, name)
        ]
        return f"Credentials({', '.join(found) or 'none'})"
