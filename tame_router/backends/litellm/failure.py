"""What each of LiteLLM's exceptions means here: one table by name, most specific first.

By name, because LiteLLM is imported late. An exception has the meaning of the first class in
its method resolution order that the table knows. LiteLLM also uses general classes for special
faults; `_SPECIAL` looks at the status, and at what the exception was raised from.
"""

from collections.abc import Iterator, Mapping, Sequence
from json import JSONDecodeError
from typing import Final

from tame_router.backends.backend import RETRY_AFTER_S
from tame_router.backends.openai.refusal import Refusal
from tame_router.backends.openai.wire import ErrorInfo
from tame_router.chat import Message
from tame_router.errors import (
    AdapterNotLoadedError,
    BackendError,
    BackendFailedError,
    BackendOverloadedError,
    BackendProtocolError,
    BackendRefusedKeyError,
    BackendSilentError,
    BackendUnavailableError,
    ContextTooLongError,
    InvalidRequestError,
    RequestError,
    StreamBrokenError,
    TameError,
)

Leaf = type[BackendError] | type[RequestError]

LEAVES: Final[Mapping[str, Leaf]] = {
    # The request.
    "ContextWindowExceededError": ContextTooLongError,
    "ContentPolicyViolationError": InvalidRequestError,
    "UnsupportedParamsError": InvalidRequestError,
    "RejectedRequestError": InvalidRequestError,
    "ImageFetchError": InvalidRequestError,
    "UnprocessableEntityError": InvalidRequestError,
    "MalformedRequestFieldError": InvalidRequestError,
    # The account, the key, the name.
    "PaymentRequiredError": BackendRefusedKeyError,
    "CallerCredentialAuthenticationError": BackendRefusedKeyError,
    "AuthenticationError": BackendRefusedKeyError,
    "PermissionDeniedError": BackendRefusedKeyError,
    "NotFoundError": AdapterNotLoadedError,
    "LiteLLMUnknownProvider": AdapterNotLoadedError,
    "ModelNotMappedError": AdapterNotLoadedError,
    "EndpointNotSupportedByModelError": AdapterNotLoadedError,
    "UnsupportedEndpointError": AdapterNotLoadedError,
    # The load.
    "CallerCredentialRateLimitError": BackendOverloadedError,
    "RateLimitError": BackendOverloadedError,
    "BudgetExceededError": BackendOverloadedError,
    # The provider.
    "Timeout": BackendSilentError,
    "MidStreamFallbackError": StreamBrokenError,
    "ServiceUnavailableError": BackendUnavailableError,
    "BadGatewayError": BackendUnavailableError,
    "JSONSchemaValidationError": BackendProtocolError,
    "APIResponseValidationError": BackendProtocolError,
    "APIConnectionError": BackendUnavailableError,
    "InternalServerError": BackendFailedError,
    # Features of LiteLLM that this router does not use.
    "VectorStoreSearchError": BackendFailedError,
    "GuardrailRaisedException": BackendFailedError,
    "BlockedPiiEntityError": BackendFailedError,
    "SensitiveDataRouteException": BackendFailedError,
    "ModifyResponseException": BackendFailedError,
    "MockException": BackendFailedError,
    # What the special ones above are made from.
    "InvalidRequestError": InvalidRequestError,
    "BadRequestError": InvalidRequestError,
    "APIError": BackendFailedError,
    "OpenAIError": BackendFailedError,
}
"""Every exception class of `litellm.exceptions`, by its name."""

_WORDS: Final[Mapping[Leaf, str]] = {
    BackendRefusedKeyError: "the provider refused the router's key, or its account; set the right"
    " api_key or api_key_file for this backend",
    AdapterNotLoadedError: "the provider does not know the model that it was asked for; check the"
    " backend's base_model (`provider/model`) and api_base",
    BackendOverloadedError: "the provider has too much work, or the account's quota is used up;"
    " try again later",
    BackendSilentError: "the provider did not answer in time; try again",
    StreamBrokenError: "the provider broke the stream off before the answer was finished; try"
    " again",
    BackendUnavailableError: "the provider cannot be reached or cannot answer now; check the"
    " backend's api_base, and try again",
    BackendProtocolError: "the provider sent something that is not of its protocol; check the"
    " backend's base_model (`provider/model`) and api_base",
    BackendFailedError: "the provider failed, or LiteLLM did; the provider's log may say why",
}

_UNREACHED: Final = frozenset(
    {"APIConnectionError", "TransportError", "ClientConnectionError", "ConnectionError"}
)
_PREFIX_MARK: Final = "Exception - "
_GENERAL: Final = frozenset({BackendFailedError, BackendUnavailableError, StreamBrokenError})


def failure_of(
    error: Exception,
    *,
    begun: bool,
    revision: str = "",
    messages: Sequence[Message] = (),
) -> TameError:
    """Translate an exception that came out of LiteLLM.

    Args:
        error: The exception.
        begun: The answer had begun, so that a lost connection is a broken stream.
        revision: The adapter revision asked for.
        messages: What was sent: none of it is repeated in the error.
    """
    original = getattr(error, "original_exception", None)
    if isinstance(original, Exception):
        error = original
    leaf = _leaf(error, begun=begun)
    facts = {"litellm_error": type(error).__name__}
    if issubclass(leaf, RequestError):
        return _request_error(error, leaf, messages)
    if leaf is AdapterNotLoadedError:
        facts["revision"] = revision
    retry = issubclass(leaf, BackendUnavailableError | BackendOverloadedError)
    return leaf(_WORDS[leaf], metadata=facts, retry_after_s=RETRY_AFTER_S if retry else None)


def _leaf(error: Exception, *, begun: bool) -> Leaf:
    names = (kind.__name__ for kind in type(error).__mro__)
    leaf = next((LEAVES[name] for name in names if name in LEAVES), BackendFailedError)
    if leaf is InvalidRequestError and getattr(error, "llm_provider", None) == "":
        return AdapterNotLoadedError  # LiteLLM does not know whom to ask
    if leaf in _GENERAL:
        leaf = _special(error, leaf)
    if begun and leaf is BackendUnavailableError:
        return StreamBrokenError
    return leaf


def _special(error: Exception, leaf: Leaf) -> Leaf:
    """Look behind a general class."""
    if getattr(error, "status_code", None) in {401, 403}:
        return BackendRefusedKeyError
    causes = list(_causes(error))
    if any(isinstance(cause, JSONDecodeError | UnicodeDecodeError) for cause in causes):
        return BackendProtocolError
    names = {kind.__name__ for cause in causes for kind in type(cause).__mro__}
    return BackendUnavailableError if names & _UNREACHED else leaf


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an exception and what it was raised from, at most once each."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _request_error(error: Exception, leaf: Leaf, messages: Sequence[Message]) -> TameError:
    # "litellm.BadRequestError: OpenAIException - what the provider said"
    said = str(error).rpartition(_PREFIX_MARK)[2]
    refused = Refusal(status=400, info=ErrorInfo(message=said)).error(messages=messages)
    if leaf is ContextTooLongError and not isinstance(refused, ContextTooLongError):
        return ContextTooLongError(refused.message, field="messages")
    return refused
