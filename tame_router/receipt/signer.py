"""The seam to what signs receipts."""

from typing import Protocol

from tame_router.audit.record import AuditRecord


class Signer(Protocol):
    """Signs what an answer was made of."""

    def sign(self, record: AuditRecord) -> str:
        """Give the receipt, a compact JWS (RFC 7515); empty: none is signed."""


class Unsigned:
    """Signs nothing."""

    def sign(self, record: AuditRecord) -> str:
        """Give no receipt."""
        return ""
