"""The books: where use is counted, recorded and receipted."""

from dataclasses import dataclass, field

from tame_router.audit.journal import Journal, Unrecorded
from tame_router.quota.quota import Quota, Unlimited
from tame_router.receipt.signer import Signer, Unsigned


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Where use is counted, recorded and receipted; the defaults do none of it."""

    quota: Quota = field(default_factory=Unlimited)
    journal: Journal = field(default_factory=Unrecorded)
    signer: Signer = field(default_factory=Unsigned)

    @property
    def signed(self) -> bool:
        """Whether answers get receipts."""
        return not isinstance(self.signer, Unsigned)
