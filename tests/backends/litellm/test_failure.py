"""Every exception of LiteLLM has a meaning, and a new one does not go unnoticed."""

import json
from typing import Any

import litellm.exceptions
import pytest

from tame_router.backends.litellm.failure import LEAVES, failure_of
from tame_router.chat import Message, Role
from tame_router.errors import (
    AdapterNotLoadedError,
    BackendError,
    BackendFailedError,
    BackendOverloadedError,
    BackendProtocolError,
    BackendRefusedKeyError,
    BackendUnavailableError,
    ContextTooLongError,
    InvalidRequestError,
    RequestError,
    StreamBrokenError,
    TameError,
)

# Two of LiteLLM's own classes warn when they are touched under Pydantic 2.14.
pytestmark = pytest.mark.filterwarnings("ignore")

EXCEPTIONS = {
    name: kind
    for name, kind in vars(litellm.exceptions).items()
    if isinstance(kind, type) and issubclass(kind, BaseException)
}
MESSAGES = (Message(role=Role.USER, content="我的身分證字號是 A123456789，請問"),)


def bare(kind: Any) -> Exception:
    """Make an exception without calling its constructor."""
    error: Exception = kind.__new__(kind)
    return error


def raised(kind: str, **fields: object) -> Exception:
    """Make an exception of LiteLLM without the arguments that differ from class to class."""
    error = bare(EXCEPTIONS[kind])
    Exception.__init__(error, fields.get("message", kind))
    for name, value in {
        "message": kind,
        "num_retries": None,
        "max_retries": None,
        **fields,
    }.items():
        setattr(error, name, value)
    return error


def test_every_exception_has_a_meaning() -> None:
    """The table must know each exception class of this LiteLLM by its own name, and no other."""
    assert set(EXCEPTIONS) - set(LEAVES) == set()
    assert set(LEAVES) - set(EXCEPTIONS) == set()


def test_most_specific_comes_first() -> None:
    """A class must stand before the classes that it is made from, for whoever reads the table."""
    names = list(LEAVES)
    for index, name in enumerate(names):
        bases = {base.__name__ for base in EXCEPTIONS[name].__mro__[1:]} - {name}
        assert not bases & set(names[:index]), name


@pytest.mark.parametrize("name", sorted(LEAVES))
def test_meaning_is_a_leaf_of_ours(name: str) -> None:
    """Every class must come out as its leaf, with a retry only where another try may help."""
    error = failure_of(raised(name), begun=False, revision="legal--1", messages=MESSAGES)
    assert type(error) is LEAVES[name]
    assert isinstance(error, BackendError | RequestError)
    retry = isinstance(error, BackendUnavailableError | BackendOverloadedError)
    assert (error.retry_after_s is not None) is retry


def test_subclass_has_the_meaning_of_its_base() -> None:
    """A class that LiteLLM's providers derive must be understood by what it is made from."""
    derived = type("ProviderError", (EXCEPTIONS["RateLimitError"],), {})
    assert type(failure_of(bare(derived), begun=False)) is BackendOverloadedError


def test_foreign_exception_is_a_failure() -> None:
    """What is none of LiteLLM's must be a failure, its text not repeated."""
    error = failure_of(KeyError("A123456789"), begun=False)
    assert type(error) is BackendFailedError
    assert "A123456789" not in error.message
    assert error.metadata["litellm_error"] == "KeyError"


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_hides_in_a_general_class(status: int) -> None:
    """A general error with a key's status must be a refused key."""
    error = failure_of(raised("APIError", status_code=status), begun=False)
    assert type(error) is BackendRefusedKeyError


@pytest.mark.parametrize(
    ("begun", "kind"), [(False, BackendUnavailableError), (True, StreamBrokenError)]
)
def test_lost_connection_hides_in_a_general_class(begun: bool, kind: type[TameError]) -> None:
    """A lost connection must be unavailable before the first chunk, a broken stream after it."""
    error = raised("InternalServerError", status_code=500)
    error.__cause__ = ConnectionResetError("gone")
    assert type(failure_of(error, begun=begun)) is kind
    assert type(failure_of(raised("APIConnectionError"), begun=begun)) is kind


def test_garbage_hides_in_a_lost_connection() -> None:
    """JSON that could not be read must be the provider's protocol, not its absence."""
    error = raised("APIConnectionError")
    error.__context__ = json.JSONDecodeError("Expecting value", "", 0)
    assert type(failure_of(error, begun=True)) is BackendProtocolError


def test_circle_of_causes_ends() -> None:
    """Exceptions that were raised from each other must not hang the search."""
    error = raised("InternalServerError")
    other = ValueError("x")
    error.__cause__, other.__cause__ = other, error
    assert type(failure_of(error, begun=False)) is BackendFailedError


def test_wrapped_exception_counts() -> None:
    """An exception that LiteLLM wrapped in the middle of a stream must have its own meaning."""
    wrapped = raised("MidStreamFallbackError", original_exception=raised("NotFoundError"))
    error = failure_of(wrapped, begun=True, revision="legal--1")
    assert type(error) is AdapterNotLoadedError
    assert error.metadata["revision"] == "legal--1"
    bare = raised("MidStreamFallbackError", original_exception=None)
    assert type(failure_of(bare, begun=True)) is StreamBrokenError


def test_providers_reason_is_passed_on() -> None:
    """Why a request was found wrong must be said, without LiteLLM's prefixes."""
    message = "litellm.BadRequestError: OpenAIException - temperature must be non-negative"
    error = failure_of(raised("BadRequestError", message=message), begun=False)
    assert isinstance(error, InvalidRequestError)
    assert error.message.endswith(": temperature must be non-negative")


def test_conversation_is_not_repeated() -> None:
    """A reason that quotes the conversation must be withheld."""
    message = "litellm.BadRequestError: OpenAIException - bad 我的身分證字號是 A123456789"
    error = failure_of(raised("BadRequestError", message=message), begun=False, messages=MESSAGES)
    assert "A123456789" not in error.message


@pytest.mark.parametrize("words", ["the maximum context length is 10", "prompt is too big"])
def test_context_is_a_reason_of_its_own(words: str) -> None:
    """A prompt that is too long must be told as such, in whatever words the provider says it."""
    message = f"litellm.ContextWindowExceededError: OpenAIException - {words}"
    error = failure_of(raised("ContextWindowExceededError", message=message), begun=False)
    assert type(error) is ContextTooLongError
    assert words in error.message
