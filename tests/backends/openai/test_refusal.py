"""Every status of a server has one meaning, and no message gives anything away."""

from datetime import UTC, datetime

import pytest

from tame_router.backends.openai.refusal import Refusal, retry_after_s, stream_refusal
from tame_router.backends.openai.wire import ErrorInfo
from tame_router.chat import Format, Message, ResponseFormat, Role, Shape, Tool
from tame_router.errors import (
    AdapterNotLoadedError,
    BackendFailedError,
    BackendOverloadedError,
    BackendProtocolError,
    BackendRefusedKeyError,
    BackendUnavailableError,
    ContextTooLongError,
    InvalidRequestError,
    TameError,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MESSAGES = (Message(role=Role.USER, content="我的身分證字號是 A123456789，請問"),)


def invalid(message: str, param: str | None = None) -> InvalidRequestError:
    """Give the error for a 400 that says something."""
    refusal = Refusal(status=400, info=ErrorInfo(message=message, param=param))
    error = refusal.error("legal--1", MESSAGES)
    assert isinstance(error, InvalidRequestError)
    return error


@pytest.mark.parametrize(
    ("status", "kind", "retry"),
    [
        (301, BackendProtocolError, None),
        (400, InvalidRequestError, None),
        (401, BackendRefusedKeyError, None),
        (402, BackendProtocolError, None),
        (403, BackendRefusedKeyError, None),
        (404, AdapterNotLoadedError, 1),
        (405, BackendProtocolError, None),
        (408, BackendOverloadedError, 1),
        (413, InvalidRequestError, None),
        (422, InvalidRequestError, None),
        (429, BackendOverloadedError, 1),
        (500, BackendFailedError, None),
        (501, BackendFailedError, None),
        (502, BackendUnavailableError, 1),
        (503, BackendUnavailableError, 1),
        (504, BackendUnavailableError, 1),
        (599, BackendFailedError, None),
        (600, BackendProtocolError, None),
    ],
)
def test_status_has_one_meaning(status: int, kind: type[TameError], retry: float | None) -> None:
    """A status must give its error, with the status among the facts and a retry where it helps."""
    error = Refusal(status=status, info=ErrorInfo()).error("legal--1", MESSAGES)
    assert type(error) is kind
    assert error.metadata["backend_status"] == str(status)
    assert error.retry_after_s == retry


@pytest.mark.parametrize("status", [404, 429, 503])
def test_servers_wait_is_passed_on(status: int) -> None:
    """What `Retry-After` says must reach the caller."""
    error = Refusal(status=status, info=ErrorInfo(), retry_after_s=7).error()
    assert error.retry_after_s == 7


def test_missing_adapter_is_named() -> None:
    """A 404 must name the revision, or say that the base model is meant."""
    refusal = Refusal(status=404, info=ErrorInfo())
    assert "'legal--1'" in refusal.error("legal--1").message
    assert "base model" in refusal.error().message


@pytest.mark.parametrize(
    "info",
    [
        ErrorInfo(message="LoRA adapter 'legal--1' was found but could not be loaded."),
        ErrorInfo(message="Loading failed", param="model"),
    ],
)
def test_adapter_that_does_not_load_is_not_the_callers_fault(info: ErrorInfo) -> None:
    """A 400 of vLLM's resolver must be a missing adapter, not an invalid request."""
    error = Refusal(status=400, info=info).error("legal--1", MESSAGES)
    assert type(error) is AdapterNotLoadedError


def test_servers_reason_is_passed_on() -> None:
    """Why a request was found wrong must be said, with the sampling field it is about."""
    error = invalid("temperature must be\n non-negative, got -1.0.", "temperature")
    assert "temperature must be non-negative, got -1.0." in error.message
    assert error.field == "sampling.temperature"
    assert invalid("roles must alternate").field == ""


def test_long_reason_is_cut() -> None:
    """A reason must not grow without bound."""
    assert len(invalid("x" * 10_000).message) < 400


@pytest.mark.parametrize(
    "message",
    [
        "1 validation error: {'loc': 'messages', 'input': 'A123456789'}",
        "cannot render: 我的身分證字號是 A123456789，請問",
        "cannot render: 證字號是 A123456789，請問 and more",
        "",
    ],
)
def test_reason_that_quotes_the_conversation_is_withheld(message: str) -> None:
    """Text of a question must not come back in an error."""
    text = invalid(message, "messages").message
    assert "A123456789" not in text
    assert "parameter messages" in text
    assert "does not say" in invalid(message).message


@pytest.mark.parametrize(
    ("message", "param", "about"),
    [
        ("This model's maximum context length is 2048 tokens.", None, True),
        ("max_tokens=5 cannot be greater than max_model_len=4.", None, True),
        ("longer than the maximum model length of 4", None, True),
        ("anything", "input_tokens", True),
        ("max_tokens must be at least 1, got 0.", "max_tokens", True),
        ("temperature is bad", "temperature", False),
    ],
)
def test_context_is_recognized(message: str, param: str | None, about: bool) -> None:
    """What vLLM says about the context must be worth counting tokens for."""
    info = ErrorInfo(message=message, param=param)
    assert Refusal(status=400, info=info).about_context is about
    assert not Refusal(status=500, info=info).about_context


def test_words_about_the_context_stand_where_nobody_can_count() -> None:
    """A refusal in words about the context must have that reason."""
    error = invalid("This model's maximum context length is 2048 tokens.")
    assert type(error) is ContextTooLongError
    assert "2048" in error.message


@pytest.mark.parametrize(
    ("code", "status"),
    [(503, 503), ("429", 429), ("server_error", 500), (None, 500), (200, 500), ("４", 500)],
)
def test_code_in_a_stream_is_a_status(code: int | str | None, status: int) -> None:
    """An error object's code must be read as a status, and as 500 where it is none."""
    assert stream_refusal(ErrorInfo(code=code)).status == status


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("999999", 3600),
        ("inf", 3600),
        ("nan", None),
        ("soon", None),
        ("Fri, 02 Jan 2026 03:04:15 GMT", 10),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0),
        ("Fri, 02 Jan 2026 03:04:15 -0000", 10),
    ],
)
def test_retry_after_is_read(header: str | None, seconds: float | None) -> None:
    """Seconds and dates must be read, bounded, and anything else ignored."""
    assert retry_after_s(header, NOW) == seconds


@pytest.mark.parametrize("question", ["我得了愛滋病會被開除嗎", "被偷拍", "my PIN?"])
def test_a_short_question_is_not_quoted(question: str) -> None:
    """However short a question is, a server's reason that repeats it is withheld."""
    refusal = Refusal(status=400, info=ErrorInfo(message=f"cannot read '{question}' here"))
    error = refusal.error("", (Message(role=Role.USER, content=question),))
    assert question not in error.message


def test_too_many_stop_strings_are_explained() -> None:
    """The refusal names the setting: the words of vLLM, which takes four strings, do not."""
    error = invalid("1 validation error: list too long", param="body.stop")
    assert "VLLM_MAX_STOP_STRINGS" in error.message


SCHEMA = ResponseFormat(format=Format.JSON_SCHEMA, name="a", schema='{"type":"nonsense"}')
TOOL = Tool(name="look", parameters='{"type":"nonsense"}')


@pytest.mark.parametrize(
    ("shape", "field"),
    [
        (Shape(response_format=SCHEMA), "response_format"),
        (Shape(tools=(TOOL,)), "tools"),
        (Shape(response_format=SCHEMA, tools=(TOOL,)), ""),
        (Shape(), ""),
    ],
)
@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Failed to transform json schema into a grammar: [22:28:41]"
            " /project/cpp/json_schema_converter.cc:4944: Unsupported type nonsense",
            "Failed to transform json schema into a grammar: Unsupported type nonsense",
        ),
        ("The provided JSON schema contains features not supported by xgrammar.", "by xgrammar"),
        ("The JSON schema is nested too deeply: objects and arrays", "nested too deeply"),
    ],
)
def test_a_schema_that_is_none_is_the_callers_fault(
    shape: Shape, field: str, said: str, told: str
) -> None:
    """In vLLM's words, without the place in its source, and with the field where it is one."""
    error = Refusal(status=400, info=ErrorInfo(message=said)).error("legal--1", MESSAGES, shape)
    assert isinstance(error, InvalidRequestError)
    assert error.field == field
    assert told in error.message
    assert "/project" not in error.message
