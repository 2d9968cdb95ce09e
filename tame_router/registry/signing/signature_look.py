"""Looks at the signature of a revision whose bytes are kept, as its tenant's policy asks for it."""

import asyncio
import logging

from tame_router.errors import ConfigError
from tame_router.registry.record import RevisionRecord
from tame_router.registry.revision_file import MOST_SIGNATURE_BYTES, SIGNATURE_PATH
from tame_router.registry.signing.signature import Verdict, check_signature
from tame_router.registry.signing.signing_policy import SigningPolicies
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.telemetry import log


def signers_unread(error: ConfigError) -> str:
    """Tell the operator that a signer's key cannot be read, and give what callers are told.

    Nobody's signature counts then: a key's file that is gone is how some take a signer out.
    """
    log.event(logging.ERROR, "adapter.signers_unread", because=error.message)
    return "the keys of its tenant's signers cannot be read; the operator's log says why"


class SignatureLook:
    """Looks at signatures.

    Args:
        store: Where revisions' bytes are.
        policies: Whose signatures count.
    """

    def __init__(self, store: RevisionStore, policies: SigningPolicies) -> None:
        self._store = store
        self._policies = policies

    async def look(self, record: RevisionRecord) -> Verdict:
        """Tell who signed a revision, or why it is refused.

        Keys and certificates are read anew, so that one that was taken out counts no more.

        Raises:
            CorruptRevisionError: When the signature is not what was uploaded.
            RevisionNotFoundError: When the revision is not in the store.
            ConfigError: When a file with a key or a certificate cannot be used now.
        """
        return await asyncio.to_thread(self._look, record)

    def _look(self, record: RevisionRecord) -> Verdict:
        # Its record says whether there is one: what is not signed asks nothing of the storage.
        signature = None
        if any(file.path == SIGNATURE_PATH for file in record.manifest.files):
            signature = self._store.read(record.name, SIGNATURE_PATH, MOST_SIGNATURE_BYTES)
        policy = self._policies.of(record.tenant)
        return check_signature(record.manifest, signature or b"", policy, record.create_time)
