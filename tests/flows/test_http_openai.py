"""The HTTP port through the official OpenAI SDK: what works, and what its errors look like."""

import logging
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import openai
import pytest
from openai import AsyncOpenAI

from tame_router import app
from tame_router.catalog.expert import Catalog
from tame_router.config import Settings
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Cut, Pace, Refuse, Silence
from tests.router_fixture import changed, happened, next_chat
from tests.small_experts import NOTICES, QUESTIONS

pytestmark = pytest.mark.anyio

LEGAL = QUESTIONS["legal"][0]
PAGE = (Path(__file__).resolve().parents[2] / "docs/openai.md").read_text(encoding="utf-8")
ASK: Any = [{"role": "user", "content": LEGAL}]


@pytest.fixture
async def sdk(http_url: str) -> AsyncIterator[AsyncOpenAI]:
    """Give an OpenAI client that does not try again."""
    async with AsyncOpenAI(base_url=f"{http_url}/v1", api_key="any", max_retries=0) as client:
        yield client


async def test_an_answer_at_once(sdk: AsyncOpenAI, catalog: Catalog, fake_vllm: FakeVllm) -> None:
    """The whole answer, its model, its tokens, and the decision in `tame` and in headers."""
    fake_vllm.text = '可以，依租賃契約。\n"quoted" \\ 😀'
    raw = await sdk.chat.completions.with_raw_response.create(model="tame-auto", messages=ASK)
    answer = raw.parse()
    assert answer.choices[0].message.content == fake_vllm.text
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    revision = catalog.expert("legal").live_revision
    assert answer.model == f"legal@{revision.partition('--')[2]}"
    tame = answer.model_extra["tame"]  # type: ignore[index]
    assert tame["decision"]["experts"][0]["expert"] == "legal"
    assert tame["decision"]["reason"] == "MOST_PROBABLE"
    assert tame["revision"] == revision
    assert tame["notice"] == NOTICES["legal"]["zh-TW"]
    assert raw.headers["x-tame-expert"] == "legal"
    assert raw.headers["x-tame-decision-reason"] == "MOST_PROBABLE"
    assert raw.headers["x-tame-answer-id"] == raw.headers["x-request-id"] == tame["answer_id"]
    assert answer.id == f"chatcmpl-{tame['answer_id']}"


async def test_a_streamed_answer(sdk: AsyncOpenAI, fake_vllm: FakeVllm) -> None:
    """Role and decision first, words, reason, tokens where asked for; text exact."""
    fake_vllm.text = "律師：「可以」\r\n\u2028 end"
    fake_vllm.pace = Pace(token_s=0.002)
    stream = await sdk.chat.completions.create(
        model="tame-auto", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    first, last = chunks[0], chunks[-1]
    assert first.choices[0].delta.role == "assistant"
    assert first.model_extra["tame"]["decision"]["experts"][0]["expert"] == "legal"  # type: ignore[index]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == fake_vllm.text
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert "receipt" in chunks[-2].model_extra["tame"]  # type: ignore[index]
    assert last.choices == []
    assert last.usage
    assert last.usage.completion_tokens == len(fake_vllm.text)
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("form", ["legal", "legal@{hex}", "legal@{revision}"])
async def test_a_model_pins_its_expert(
    sdk: AsyncOpenAI, catalog: Catalog, fake_vllm: FakeVllm, form: str
) -> None:
    """An expert's name, or its revision in either spelling, leaves the router no choice."""
    revision = catalog.expert("legal").live_revision
    model = form.format(hex=revision.partition("--")[2], revision=revision)
    medical: Any = [{"role": "user", "content": QUESTIONS["medical"][0]}]
    answer = await sdk.chat.completions.create(model=model, messages=medical)
    assert answer.model_extra["tame"]["decision"]["reason"] == "PINNED"  # type: ignore[index]
    assert fake_vllm.chats[-1].body["model"] == revision


@pytest.mark.parametrize("model", ["nobody", "legal@0000000000000000", "legal@", "@", "", "LEGAL"])
async def test_a_model_that_does_not_exist(
    sdk: AsyncOpenAI, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    """All are told in the same words, with OpenAI's code; the log says who asked."""
    with pytest.raises(openai.NotFoundError) as caught:
        await sdk.chat.completions.create(model=model, messages=ASK)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    expected = f"the model {model!r} does not exist, or you may not use it"
    assert expected in caught.value.message
    (failed,) = (record for record in caplog.records if record.message == "call.failed")
    facts = failed.facts  # type: ignore[attr-defined]
    assert (facts["tenant"], facts["subject"]) == ("local", "anyone")


async def test_models(sdk: AsyncOpenAI, catalog: Catalog) -> None:
    """The router's own choice, every expert, and the revision that answers; each can be got."""
    ids = [model.id async for model in sdk.models.list()]
    hexes = {n: catalog.expert(n).live_revision.partition("--")[2] for n in catalog.names}
    expected = {"tame-auto", *catalog.names, *(f"{n}@{h}" for n, h in hexes.items() if h)}
    assert set(ids) == expected
    assert len(ids) == len(expected)
    for model in ids:
        assert (await sdk.models.retrieve(model)).id == model
    with pytest.raises(openai.NotFoundError) as caught:
        await sdk.models.retrieve("nobody")
    assert caught.value.code == "model_not_found"


async def test_sampling_reaches_the_engine(sdk: AsyncOpenAI, fake_vllm: FakeVllm) -> None:
    """The caller's values win over the expert's, and stops are added to its own."""
    await sdk.chat.completions.create(
        model="legal",
        messages=[{"role": "developer", "content": "Be brief."}, *ASK],
        max_completion_tokens=9,
        temperature=0,
        top_p=0.5,
        seed=11,
        stop="END",
        presence_penalty=0.5,
        frequency_penalty=-0.5,
    )
    body = fake_vllm.chats[-1].body
    wanted = {"max_tokens": 9, "temperature": 0, "top_p": 0.5, "seed": 11}
    assert wanted.items() <= body.items()
    assert "END" in body["stop"]
    assert "Be brief." in body["messages"][0]["content"]


async def test_parts_of_text_are_joined(sdk: AsyncOpenAI, fake_vllm: FakeVllm) -> None:
    """A list of text parts reads like a text of several lines."""
    parts: Any = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    await sdk.chat.completions.create(model="legal", messages=[{"role": "user", "content": parts}])
    assert fake_vllm.chats[-1].body["messages"][-1]["content"] == "one\ntwo"


async def test_extras_constrain_the_router(sdk: AsyncOpenAI) -> None:
    """`extra_body={"tame": …}` denies and allows experts."""
    answer = await sdk.chat.completions.create(
        model="tame-auto", messages=ASK, extra_body={"tame": {"deny": ["legal"]}}
    )
    assert not answer.model.startswith("legal")
    answer = await sdk.chat.completions.create(
        model="tame-auto", messages=ASK, extra_body={"tame": {"experts": ["medical"]}}
    )
    assert answer.model.startswith("medical")
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.chat.completions.create(
            model="tame-auto", messages=ASK, extra_body={"tame": {"joins": "single"}}
        )
    assert caught.value.param == "tame.joins"


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (Refuse(status=503), openai.InternalServerError, "BACKEND_UNAVAILABLE"),
        (Refuse(status=429), openai.RateLimitError, "BACKEND_OVERLOADED"),
        (Refuse(status=500), openai.InternalServerError, "BACKEND_FAILED"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_of_the_backend_is_a_status(
    sdk: AsyncOpenAI, fake_vllm: FakeVllm, fault: Refuse, kind: type[Any], code: str, stream: bool
) -> None:
    """Before the first word an error has its own status, in a stream as well."""
    fake_vllm.next(fault)
    with pytest.raises(kind) as caught:
        await sdk.chat.completions.create(model="legal", messages=ASK, stream=stream)
    assert caught.value.code == code
    if caught.value.status_code == 429:
        assert float(caught.value.response.headers["retry-after-ms"]) > 0


async def test_a_stream_that_breaks_says_so(sdk: AsyncOpenAI, fake_vllm: FakeVllm) -> None:
    """After the first word an error is an event, which the SDK raises."""
    fake_vllm.pace = Pace(token_s=0.01)
    fake_vllm.next(Cut(after_bytes=900))
    chunks: list[Any] = []
    stream = await sdk.chat.completions.create(model="legal", messages=ASK, stream=True)

    async def read() -> None:
        async for chunk in stream:
            chunks.append(chunk)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(openai.APIError) as caught:
        await read()
    assert chunks[1].choices[0].delta.content
    assert caught.value.code == "STREAM_BROKEN"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_that_leaves_stops_the_engine(
    http_url: str, fake_vllm: FakeVllm, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    """Closing the connection, before or after the first word, ends the generation at once."""
    caplog.set_level(logging.INFO)
    fake_vllm.next(Silence(events=3))
    async with AsyncOpenAI(base_url=f"{http_url}/v1", api_key="any", max_retries=0) as client:
        received = None
        with anyio.move_on_after(20) as scope:
            async with anyio.create_task_group() as group:

                async def ask() -> None:
                    answer: Any = await client.chat.completions.create(
                        model="legal", messages=ASK, stream=stream
                    )
                    async for _ in answer:
                        pass

                group.start_soon(ask)
                received = await next_chat(fake_vllm)
                group.cancel_scope.cancel()
        assert not scope.cancelled_caught
    assert received
    assert await happened(received.disconnected)
    with anyio.fail_after(5):
        while not any(r.message == "call.cancelled" for r in caplog.records):
            await anyio.lowlevel.checkpoint()


async def test_a_deadline_of_the_callers_own(sdk: AsyncOpenAI, fake_vllm: FakeVllm) -> None:
    """`x-request-timeout-s` limits the whole answer; what is no number is refused by name."""
    fake_vllm.next(Silence())
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.chat.completions.create(
            model="legal", messages=ASK, extra_headers={"x-request-timeout-s": "0.2"}
        )
    assert (caught.value.status_code, caught.value.code) == (504, "DEADLINE_EXCEEDED")
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.chat.completions.create(
            model="legal", messages=ASK, extra_headers={"x-request-timeout-s": "soon"}
        )
    assert refused.value.param == "x-request-timeout-s"


async def test_too_many_answers(settings: Settings, fake_vllm: FakeVllm) -> None:
    """Where the router takes no more, the SDK's users see its rate limit error."""
    found: list[str] = []
    async with (
        app.running(changed(settings, server={"max_answers": 1}), announce_http=found.append),
        AsyncOpenAI(base_url=f"http://{found[0]}/v1", api_key="any", max_retries=0) as sdk,
    ):
        fake_vllm.next(Silence(events=2))
        stream = await sdk.chat.completions.create(model="legal", messages=ASK, stream=True)
        with pytest.raises(openai.RateLimitError) as caught:
            await sdk.chat.completions.create(model="legal", messages=ASK)
        assert caught.value.code == "ROUTER_OVERLOADED"
        assert caught.value.response.headers["retry-after"] == "1"
        await stream.close()


@pytest.mark.parametrize("path", ["completions", "embeddings", "responses"])
async def test_what_is_not_served_is_refused_with_advice(sdk: AsyncOpenAI, path: str) -> None:
    """Other paths of OpenAI's say what to use instead."""
    asked: Any = {
        "completions": lambda: sdk.completions.create(model="legal", prompt="x"),
        "embeddings": lambda: sdk.embeddings.create(model="legal", input="x"),
        "responses": lambda: sdk.responses.create(model="legal", input="x"),
    }[path]
    with pytest.raises(openai.NotFoundError) as caught:
        await asked()
    assert caught.value.code == "UNSUPPORTED"
    assert "use" in caught.value.message


async def test_the_documented_example_runs(http_url: str) -> None:
    """The program of the page, with the port that the test has, shows who answered."""
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    code = code.replace("http://127.0.0.1:8080", http_url)
    done = await anyio.run_process([sys.executable, "-c", code])
    assert b"legal@" in done.stdout
    assert b"'probability': " in done.stdout
    assert done.stderr == b""
