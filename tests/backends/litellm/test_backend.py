"""Experts of other providers answer through LiteLLM, and each way they fail has its error."""

import asyncio
import json
import logging
import os
import subprocess
import sys

import anyio
import pytest

from tame_router.backends.litellm import library as litellm_library
from tame_router.backends.litellm.backend import LitellmBackend, LitellmSpec
from tame_router.chat import FinishReason, Usage
from tame_router.errors import (
    AdapterNotLoadedError,
    BackendFailedError,
    BackendOverloadedError,
    BackendProtocolError,
    BackendRefusedKeyError,
    BackendSilentError,
    BackendUnavailableError,
    ConfigError,
    ContextTooLongError,
    DeadlineExceededError,
    InvalidRequestError,
    StreamBrokenError,
    TameError,
)
from tests.backends.conftest import Make
from tests.fakes import vllm_wire as wire
from tests.fakes.generations import (
    REVISION,
    as_json,
    finish_of,
    generation,
    read,
    text_of,
    usage_of,
)
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Cut, Fault, HangUp, Pace, Raw, Refuse, Silence, Truncate

# LiteLLM warns about itself under Pydantic 2.14, and leaves tasks behind when a loop ends.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]

PROMPT_TOKENS = wire.count_tokens(as_json(generation()))


async def test_answer(make: Make, fake_vllm: FakeVllm) -> None:
    """Words, finish and usage must be the provider's, in pieces."""
    asked = generation(revision="", max_tokens=30, temperature=0.0, stop=("USER:",))
    pieces = await read(make(), asked)
    assert text_of(pieces) == "".join(fake_vllm.tokens_for(BASE_MODEL, as_json(asked)))
    assert finish_of(pieces) is FinishReason.STOP
    assert usage_of(pieces) == Usage(prompt_tokens=PROMPT_TOKENS, completion_tokens=16)
    (received,) = fake_vllm.chats
    assert received.body == {
        "model": BASE_MODEL,
        "messages": as_json(asked),
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 30,
        "temperature": 0.0,
        "stop": ["USER:"],
    }
    assert received.headers["x-request-id"] == "request-1"


@pytest.mark.parametrize(
    ("revision_model", "revision", "asked_for"),
    [
        ("", "", BASE_MODEL),
        ("", REVISION, BASE_MODEL),
        ("openai/{revision}", REVISION, REVISION),
        ("openai/{revision}", "", BASE_MODEL),
    ],
)
async def test_revision_has_the_name_the_configuration_gives(
    make: Make, fake_vllm: FakeVllm, revision_model: str, revision: str, asked_for: str
) -> None:
    """The base model must answer for a revision, unless a name for revisions is configured."""
    await read(make(revision_model=revision_model), generation(revision=revision))
    assert fake_vllm.chats[0].body["model"] == asked_for


async def test_cut_answer_says_so(make: Make) -> None:
    """An answer that reached its limit must finish with that reason."""
    pieces = await read(make(), generation(max_tokens=3))
    assert finish_of(pieces) is FinishReason.LENGTH


async def test_key_is_sent_and_no_other(
    make: Make, fake_vllm: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configured key must be sent, and the environment's never to a server of one's own."""
    monkeypatch.setenv("OPENAI_API_KEY", "the-big-providers-key")
    await read(make(api_key="right"), generation())
    await read(make(), generation())
    sent = [one.headers["authorization"] for one in fake_vllm.chats]
    assert sent == ["Bearer right", "Bearer none"]
    assert "right" not in repr(LitellmSpec(base_model="m", api_key="right"))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Refuse(status=400, body=wire.error_body(400, "is odd")), InvalidRequestError),
        (Refuse(status=401), BackendRefusedKeyError),
        (Refuse(status=403), BackendRefusedKeyError),
        (Refuse(status=404), AdapterNotLoadedError),
        (Refuse(status=408), BackendSilentError),
        (Refuse(status=422), InvalidRequestError),
        (Refuse(status=429), BackendOverloadedError),
        (Refuse(status=500), BackendFailedError),
        (Refuse(status=502), BackendUnavailableError),
        (Refuse(status=503), BackendUnavailableError),
        (HangUp(), BackendUnavailableError),
        (Cut(after_bytes=700), StreamBrokenError),
        (Truncate(events=0), StreamBrokenError),
        (Truncate(events=3), StreamBrokenError),
        (Raw(body=b"<html>", content_type="text/html"), StreamBrokenError),
        (Raw(body=b'data: {"choices": [\n\n'), BackendProtocolError),
        (
            Raw(body=wire.answer_events("m", ("a",), finish_reason="tool_calls")[2]),
            BackendProtocolError,
        ),
    ],
)
async def test_fault_has_its_error(
    make: Make, fake_vllm: FakeVllm, fault: Fault, kind: type[TameError]
) -> None:
    """Every way a provider fails must have its error, and be tried once only."""
    fake_vllm.next(fault)
    with pytest.raises(TameError) as caught:
        await read(make(), generation())
    assert type(caught.value) is kind
    assert len(fake_vllm.chats) == 1


async def test_too_long_prompt_says_so(make: Make) -> None:
    """A prompt above the context must be refused with the provider's numbers."""
    with pytest.raises(ContextTooLongError, match="2048"):
        await read(make(), generation(text="長" * 5000))


async def test_nobody_listening_is_unavailable(make: Make) -> None:
    """A provider that is not there must be worth another try."""
    with pytest.raises(BackendUnavailableError) as caught:
        await read(make(api_base="http://127.0.0.1:9/v1"), generation())
    assert caught.value.retry_after_s == 1.0


async def test_unknown_provider_is_told(make: Make) -> None:
    """A name without provider must point to the setting."""
    with pytest.raises(AdapterNotLoadedError, match="base_model"):
        await read(make(base_model="no-such-thing", api_base=""), generation())


@pytest.mark.parametrize(
    ("silence", "setting"),
    [
        (Silence(events=None), "first_token_timeout_s"),
        (Silence(events=1), "first_token_timeout_s"),
        (Silence(events=4), "stall_timeout_s"),
    ],
)
async def test_silence_is_given_up(
    make: Make, fake_vllm: FakeVllm, silence: Silence, setting: str
) -> None:
    """A provider that sends no words must be left, and see that."""
    backend = make(first_token_timeout_s=1.0, stall_timeout_s=0.5)
    await backend.warm()
    fake_vllm.next(silence)
    with pytest.raises(BackendSilentError, match=setting):
        await read(backend, generation())
    assert await anyio.to_thread.run_sync(fake_vllm.chats[0].disconnected.wait, 10)


async def test_deadline_ends_the_answer(make: Make, fake_vllm: FakeVllm) -> None:
    """The caller's deadline must end an answer at the provider too."""
    backend = make()
    await read(backend, generation())
    fake_vllm.pace = Pace(token_s=0.05, answer_tokens=1000)
    deadline = asyncio.get_running_loop().time() + 0.5
    with pytest.raises(DeadlineExceededError):
        await read(backend, generation(deadline=deadline))
    assert await anyio.to_thread.run_sync(fake_vllm.chats[1].disconnected.wait, 10)
    with pytest.raises(DeadlineExceededError):
        await read(backend, generation(deadline=deadline))


async def test_leaving_early_stops_the_provider(make: Make, fake_vllm: FakeVllm) -> None:
    """Leaving the context before the end must end the generation."""
    fake_vllm.pace = Pace(token_s=0.01, answer_tokens=1000)
    async with make().open(generation()) as stream:
        await anext(stream)
    assert await anyio.to_thread.run_sync(fake_vllm.chats[0].disconnected.wait, 10)


async def test_backend_is_ready_and_knows_what_it_was_told(make: Make) -> None:
    """Calls are always taken, and the context length is the configured one."""
    assert await make().ready()
    assert await make().context_tokens() is None
    assert await make(context_tokens=8192).context_tokens() == 8192


async def test_library_is_quiet(make: Make) -> None:
    """LiteLLM must report to nobody, count nothing itself and write no log."""
    await make().warm()
    library = await litellm_library.litellm_library()
    assert library.telemetry is False
    assert library.callbacks == library.success_callback == library.failure_callback == []
    assert library.disable_hf_tokenizer_download is True
    assert logging.getLogger("LiteLLM").handlers == []
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"


def test_library_is_not_imported_with_the_module() -> None:
    """Importing and making the backend must not import LiteLLM, nor what it brings."""
    program = (
        "import sys, json;"
        "from tame_router.backends.litellm.backend import LitellmBackend, LitellmSpec;"
        "LitellmBackend(LitellmSpec(base_model='openai/m'));"
        "print(json.dumps([name for name in ('litellm', 'openai') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(done.stdout) == []


def test_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without LiteLLM the backend must say how to install it."""
    monkeypatch.setattr(litellm_library, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install"):
        LitellmBackend(LitellmSpec(base_model="openai/m"))
