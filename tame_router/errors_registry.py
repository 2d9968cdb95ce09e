"""The errors of the adapter registry, a branch of the tree that `errors` draws.

```
RegistryError                  an adapter, or a step in its life, is wrong
├─ UploadError                    INVALID_ARGUMENT     UPLOAD_INVALID
├─ UploadInterruptedError         ABORTED              UPLOAD_INTERRUPTED
├─ RevisionRefusedError           FAILED_PRECONDITION  REVISION_REFUSED
├─ InvalidTransitionError         FAILED_PRECONDITION  INVALID_TRANSITION
├─ NothingToRestoreError          FAILED_PRECONDITION  NOTHING_TO_RESTORE
├─ CorruptRevisionError           DATA_LOSS            CORRUPT_REVISION
├─ RolloutError                   ABORTED              ROLLOUT_FAILED
├─ LabelMovedError                ABORTED              LABEL_MOVED
├─ StorageFullError               RESOURCE_EXHAUSTED   STORAGE_FULL
└─ StorageUnavailableError        UNAVAILABLE          STORAGE_UNAVAILABLE
```
"""

from tame_router.canonical_code import Code
from tame_router.errors import TameError


class RegistryError(TameError):
    """An adapter, or a step in its life, is wrong."""


class UploadError(RegistryError):
    """What is uploaded cannot be taken; `findings` in the metadata names the reasons' codes."""

    code = Code.INVALID_ARGUMENT
    reason = "UPLOAD_INVALID"


class UploadInterruptedError(RegistryError):
    """The upload broke off, or another stream took it over; announcing it again goes on."""

    code = Code.ABORTED
    reason = "UPLOAD_INTERRUPTED"


class RevisionRefusedError(RegistryError):
    """The revision was rejected, withdrawn or removed, and cannot answer."""

    code = Code.FAILED_PRECONDITION
    reason = "REVISION_REFUSED"


class InvalidTransitionError(RegistryError):
    """That cannot happen to a revision in its state."""

    code = Code.FAILED_PRECONDITION
    reason = "INVALID_TRANSITION"


class NothingToRestoreError(RegistryError):
    """The expert has no earlier revision to go back to."""

    code = Code.FAILED_PRECONDITION
    reason = "NOTHING_TO_RESTORE"


class CorruptRevisionError(RegistryError):
    """A revision's bytes are not what its digest says, or are gone; it is never served."""

    code = Code.DATA_LOSS
    reason = "CORRUPT_REVISION"


class RolloutError(RegistryError):
    """A replica did not load the revision, or answered rubbish; everything is as it was."""

    code = Code.ABORTED
    reason = "ROLLOUT_FAILED"


class LabelMovedError(RegistryError):
    """Somebody else moved the label first; look at it again, then decide."""

    code = Code.ABORTED
    reason = "LABEL_MOVED"


class StorageFullError(RegistryError):
    """There is no room for the bytes; nothing of them was kept."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "STORAGE_FULL"


class StorageUnavailableError(RegistryError):
    """The adapters' store cannot be read or written now."""

    code = Code.UNAVAILABLE
    reason = "STORAGE_UNAVAILABLE"
