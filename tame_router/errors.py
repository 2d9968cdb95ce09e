"""Every error that a caller or an operator of TAME Router can meet.

```
TameError
├─ RequestError                    the caller is wrong
│  ├─ InvalidRequestError            INVALID_ARGUMENT     INVALID_REQUEST
│  │  ├─ RequestTooLargeError          INVALID_ARGUMENT     REQUEST_TOO_LARGE
│  │  ├─ ContextTooLongError           INVALID_ARGUMENT     CONTEXT_TOO_LONG
│  │  └─ UnsupportedError              INVALID_ARGUMENT     UNSUPPORTED
│  ├─ ExpertNotFoundError            NOT_FOUND            EXPERT_NOT_FOUND
│  ├─ RevisionNotFoundError          NOT_FOUND            REVISION_NOT_FOUND
│  ├─ TenantNotFoundError            NOT_FOUND            TENANT_NOT_FOUND
│  ├─ KeyNotFoundError               NOT_FOUND            KEY_NOT_FOUND
│  └─ AlreadyExistsError             ALREADY_EXISTS       ALREADY_EXISTS
├─ AdmissionError                  the caller may not, or not now
│  ├─ UnauthenticatedError           UNAUTHENTICATED      UNAUTHENTICATED
│  ├─ PermissionDeniedError          PERMISSION_DENIED    PERMISSION_DENIED
│  └─ QuotaExceededError             RESOURCE_EXHAUSTED   QUOTA_EXCEEDED
├─ RoutingError                    nobody may answer
│  └─ NoExpertError                  FAILED_PRECONDITION  NO_EXPERT_ALLOWED
├─ ServiceError                    the router itself cannot take the call now
│  ├─ OverloadedError                RESOURCE_EXHAUSTED   ROUTER_OVERLOADED
│  ├─ StoreUnavailableError          UNAVAILABLE          STORE_UNAVAILABLE
│  └─ AuditUnavailableError          UNAVAILABLE          AUDIT_UNAVAILABLE
├─ BackendError                    what stands behind an expert is wrong
│  ├─ BackendUnavailableError        UNAVAILABLE          BACKEND_UNAVAILABLE
│  │  ├─ BackendSilentError            UNAVAILABLE          BACKEND_SILENT
│  │  ├─ StreamBrokenError             UNAVAILABLE          STREAM_BROKEN
│  │  ├─ AdapterNotLoadedError         UNAVAILABLE          ADAPTER_NOT_LOADED
│  │  └─ NoExpertAnsweredError         UNAVAILABLE          NO_EXPERT_ANSWERED
│  ├─ BackendOverloadedError         RESOURCE_EXHAUSTED   BACKEND_OVERLOADED
│  ├─ BackendProtocolError           INTERNAL             BACKEND_PROTOCOL
│  ├─ BackendFailedError             INTERNAL             BACKEND_FAILED
│  ├─ BackendRefusedKeyError         INTERNAL             BACKEND_REFUSED_KEY
│  └─ DeadlineExceededError          DEADLINE_EXCEEDED    DEADLINE_EXCEEDED
└─ ConfigError                     start-up only          INVALID_CONFIGURATION
   ├─ CatalogError                                          INVALID_EXPERT
   └─ ArtefactError                                         INVALID_ARTEFACT
```

`errors_registry` draws one branch more. A message says what is wrong, the value seen, what to do;
never a secret, a path of the server's disk (but at start-up), or the text of a question.
"""

from collections.abc import Mapping
from typing import ClassVar

from tame_router.canonical_code import Code

DOMAIN = "tame-router"  # the `domain` of every `google.rpc.ErrorInfo` of this service


class TameError(Exception):
    """Base of all errors of this project.

    Args:
        message: What is wrong, the value seen, what was expected, what to do.
        metadata: Machine-readable facts, sent as `ErrorInfo.metadata`.
        retry_after_s: When another try makes sense, in seconds; None: retrying does not help.
    """

    code: ClassVar[Code] = Code.INTERNAL
    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata: dict[str, str] = dict(metadata or {})
        self.retry_after_s = retry_after_s


class RequestError(TameError):
    """The caller sent something that cannot be served."""


class InvalidRequestError(RequestError):
    """A field of the request is missing, malformed or out of range.

    Args:
        message: What is wrong and what to send instead.
        field: Path of the field in the request, `messages[2].role`; empty: the request as a whole.
        metadata: Further facts.
    """

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_REQUEST"

    def __init__(
        self, message: str, *, field: str = "", metadata: Mapping[str, str] | None = None
    ) -> None:
        facts = {"field": field} if field else {}
        super().__init__(message, metadata={**facts, **(metadata or {})})
        self.field = self.metadata.get("field", "")


class RequestTooLargeError(InvalidRequestError):
    """The request has more bytes or more messages than this router takes."""

    reason = "REQUEST_TOO_LARGE"


class ContextTooLongError(InvalidRequestError):
    """The conversation has more tokens than the base model's context holds."""

    reason = "CONTEXT_TOO_LONG"


class UnsupportedError(InvalidRequestError):
    """The request asks for something that this service does not do; the message names it."""

    reason = "UNSUPPORTED"


class ExpertNotFoundError(RequestError):
    """The caller named an expert that is not in the catalog."""

    code = Code.NOT_FOUND
    reason = "EXPERT_NOT_FOUND"


class RevisionNotFoundError(RequestError):
    """The expert has no such revision that the caller may use."""

    code = Code.NOT_FOUND
    reason = "REVISION_NOT_FOUND"


class TenantNotFoundError(RequestError):
    """There is no tenant of that name."""

    code = Code.NOT_FOUND
    reason = "TENANT_NOT_FOUND"


class KeyNotFoundError(RequestError):
    """The tenant has no such key."""

    code = Code.NOT_FOUND
    reason = "KEY_NOT_FOUND"


class AlreadyExistsError(RequestError):
    """What is to be made is there already."""

    code = Code.ALREADY_EXISTS
    reason = "ALREADY_EXISTS"


class AdmissionError(TameError):
    """The caller may not do this, or not now."""


class UnauthenticatedError(AdmissionError):
    """Nobody knows who calls: no key, certificate or token, or one that does not count."""

    code = Code.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class PermissionDeniedError(AdmissionError):
    """It is known who calls, and it lacks the scope that this takes."""

    code = Code.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"


class QuotaExceededError(AdmissionError):
    """The tenant has used up what it may use for now; `retry_after_s` says until when."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "QUOTA_EXCEEDED"


class RoutingError(TameError):
    """No expert could be selected."""


class NoExpertError(RoutingError):
    """The caller's constraints leave no expert that may answer."""

    code = Code.FAILED_PRECONDITION
    reason = "NO_EXPERT_ALLOWED"


class ServiceError(TameError):
    """The router itself cannot take the call now; another try may succeed."""


class OverloadedError(ServiceError):
    """As many answers, uploads or watches as this router takes are already under way."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "ROUTER_OVERLOADED"


class StoreUnavailableError(ServiceError):
    """The database cannot be reached, is busy for too long, or refuses what is asked of it."""

    code = Code.UNAVAILABLE
    reason = "STORE_UNAVAILABLE"


class AuditUnavailableError(ServiceError):
    """What is answered cannot be recorded now, so nothing is answered."""

    code = Code.UNAVAILABLE
    reason = "AUDIT_UNAVAILABLE"


class BackendError(TameError):
    """What stands behind an expert did not do its part."""


class BackendUnavailableError(BackendError):
    """The backend cannot be reached, or is still starting."""

    code = Code.UNAVAILABLE
    reason = "BACKEND_UNAVAILABLE"


class BackendSilentError(BackendUnavailableError):
    """The backend took the call and then sent nothing for too long."""

    reason = "BACKEND_SILENT"
    impatient = False  # this one call waits less long than the backend's own limit


class StreamBrokenError(BackendUnavailableError):
    """The backend closed the stream before the answer was finished."""

    reason = "STREAM_BROKEN"


class AdapterNotLoadedError(BackendUnavailableError):
    """The backend runs, and does not know the adapter revision it was asked for."""

    reason = "ADAPTER_NOT_LOADED"


class NoExpertAnsweredError(BackendUnavailableError):
    """Of the experts that were asked together none answered; the metadata has each one's reason."""

    reason = "NO_EXPERT_ANSWERED"


class BackendOverloadedError(BackendError):
    """The backend refused the call because it has too much work."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "BACKEND_OVERLOADED"


class BackendProtocolError(BackendError):
    """The backend sent bytes that are not of its protocol."""

    reason = "BACKEND_PROTOCOL"


class BackendFailedError(BackendError):
    """The backend reported a failure of its own."""

    reason = "BACKEND_FAILED"


class BackendRefusedKeyError(BackendError):
    """The backend does not accept the key this router has for it."""

    reason = "BACKEND_REFUSED_KEY"


class DeadlineExceededError(BackendError):
    """The caller's deadline passed before the answer was finished."""

    code = Code.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class ConfigError(TameError):
    """The configuration, or a file it names, cannot be used; start-up stops."""

    code = Code.FAILED_PRECONDITION
    reason = "INVALID_CONFIGURATION"


class CatalogError(ConfigError):
    """A folder under `experts/` is not a valid expert."""

    reason = "INVALID_EXPERT"


class ArtefactError(ConfigError):
    """The router's trained artefact is missing, damaged or made for other experts."""

    reason = "INVALID_ARTEFACT"
