"""Looks at a revision's signature, as its tenant's policy asks for it."""

from pathlib import Path

from tame_router.config_registry import RegistrySettings
from tame_router.registry.assessment import Signed
from tame_router.registry.record import RevisionRecord
from tame_router.registry.revision_store import RevisionStore


class SignatureLook:
    """Looks at signatures.

    Args:
        store: Where revisions' bytes are.
        settings: Whose signatures count, by tenant.
        folder: Where a revision's files may lie while they are looked at.
    """

    def __init__(self, store: RevisionStore, settings: RegistrySettings, folder: Path) -> None:
        self._store = store
        self._settings = settings
        self._folder = folder

    async def look(self, record: RevisionRecord) -> Signed:
        """Tell who signed a revision, or why it is refused."""
        return Signed()
