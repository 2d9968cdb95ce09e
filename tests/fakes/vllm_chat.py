"""The fake vLLM's `/v1/chat/completions`: plain ASGI, so that a load run measures the router."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tests.fakes import vllm_wire as wire
from tests.fakes.json_sample import UnusableSchemaError
from tests.fakes.vllm_script import (
    GARBAGE,
    Cut,
    Fault,
    Garble,
    HangUp,
    Late,
    Pace,
    Raw,
    Received,
    Refuse,
    Silence,
    Split,
    Truncate,
)
from tests.fakes.vllm_shape import is_shaped, shaped_events

if TYPE_CHECKING:
    from tests.fakes.vllm import FakeVllm

_STREAM = "text/event-stream; charset=utf-8"


_FROZEN_S = 0.02


class _Gone(Exception):
    """The client left."""


class ChatEndpoint:
    """Answers one request after the other as the fake was told.

    Args:
        fake: Holds the instructions and takes the notes.
    """

    def __init__(self, fake: "FakeVllm") -> None:
        self._fake = fake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and take note when the client leaves before the end."""
        request = Request(scope, receive)
        body = json.loads(await request.body())
        received = self._fake.record(request, body)
        answer = _Answer(scope, send, received, self._fake)
        fault = self._fake.take_fault(body["model"], body["messages"])
        refusal = self._fake.refusal(request)
        refusal = refusal or await self._fake.resolver.resolve(self._fake, body["model"])
        refusal = refusal or self._refusal(body, fault)
        if refusal is None:
            try:
                events, reason = self._events(body)
            except UnusableSchemaError as error:
                text = f"Invalid JSON schema: {error}"
                refusal = Response(wire.error_body(400, text), 400, media_type="application/json")
        if refusal is not None:
            received.ended.set()
            await refusal(scope, receive, send)
            return
        own = self._fake.case_of(body["messages"]).paces
        pace = own.get(body["model"]) or self._fake.paces.get(body["model"], self._fake.pace)
        if isinstance(fault, Late):
            pace = replace(pace, first_token_s=fault.first_token_s, hold=fault.hold)
        slots = self._fake.slots
        finished = self._fake.finished  # a reset begins another count, and this answer is not in it
        self._fake.running += 1
        try:
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(_watch(receive, received))
                async with slots.one():
                    await answer.play(events, fault, pace)
                watcher.cancel()
        except* _Gone:
            reason = "abort"
        finally:
            self._fake.running -= 1
        finished[reason] += 1
        if reason == "abort":
            received.disconnected.set()

    def _refusal(self, body: dict[str, Any], fault: Fault | None) -> Response | None:
        """Refuse what vLLM refuses before it begins a stream."""
        if isinstance(fault, Refuse):
            return Response(fault.body, fault.status, dict(fault.headers), "application/json")
        if fault is not None and not isinstance(fault, Late):
            return None
        fake = self._fake
        if body.get("continue_final_message") and body.get("add_generation_prompt", True):
            text = "Cannot set both `continue_final_message` and `add_generation_prompt` to True."
            return JSONResponse(wire.error_document(400, text), status_code=400)
        name = body["model"]
        if name not in (fake.base_model, *fake.adapters, *fake.resolver.loaded):
            text = f"The model `{name}` does not exist. Valid aliases: {fake.base_model}."
            error = wire.error_document(404, text, "NotFoundError", "model")
            return JSONResponse(error, status_code=404)
        prompt_tokens = wire.count_tokens(body["messages"])
        unfit = wire.context_fault(prompt_tokens, body.get("max_tokens"), fake.max_model_len)
        return Response(unfit, 400, media_type="application/json") if unfit else None

    def _events(self, body: dict[str, Any]) -> tuple[Sequence[bytes], str]:
        """Write the whole answer, and say why it ends."""
        fake = self._fake
        prompt_tokens = wire.count_tokens(body["messages"])
        room = fake.max_model_len - prompt_tokens
        messages, beginning = body["messages"], None
        if body.get("continue_final_message"):
            *messages, last = messages
            beginning = last["content"]
        whole = tokens = fake.tokens_for(body["model"], messages)
        if beginning is not None:
            tokens = wire.rest_of(whole, beginning)
            read = len(whole) - len(tokens)
            prompt_tokens = wire.count_tokens(messages) + read
        body = {**body, "model": fake.resolver.answers_as.get(body["model"], body["model"])}
        if fake.judge is not None and _judges(body):
            tokens = tuple(json.dumps({"best": fake.judge(messages[-1]["content"])}))
            body = {**body, "response_format": None}
        if is_shaped(body):
            logprob = fake.logprobs.get(body["model"], -0.25)
            return shaped_events(body, tokens, prompt_tokens, room, logprob=logprob)
        tokens = wire.stopped(tokens, body.get("stop", ())) or tokens
        limit = min(body.get("max_tokens", room), room)
        reason = "stop" if len(tokens) <= limit else "length"
        options = body.get("stream_options", {})
        events = wire.answer_events(
            body["model"],
            tokens[:limit],
            tokens_per_event=fake.pace.tokens_per_event,
            finish_reason=reason,
            prompt_tokens=prompt_tokens,
            usage=options.get("include_usage", False),
            counted=options.get("continuous_usage_stats", False),
        )
        return events, reason


def _judges(body: dict[str, Any]) -> bool:
    """Tell whether a verdict on drafts is asked for."""
    schema = (body.get("response_format") or {}).get("json_schema") or {}
    return bool(schema.get("name") == "verdict")


class _Answer:
    """One response under way."""

    def __init__(self, scope: Scope, send: Send, received: Received, fake: "FakeVllm") -> None:
        self._fake = fake
        self._transport: asyncio.Transport = scope["state"]["transport"]
        self._send = send
        self._received = received

    async def play(self, events: Sequence[bytes], fault: Fault | None, pace: Pace) -> None:
        """Write the answer, or what the fault makes of it."""
        match fault:
            case HangUp():
                await self._hang_up()
            case Silence():
                await self._fall_silent(events, fault)
            case Cut():
                await self._start()
                await self._write(_beginning(events, fault))
                if fault.hold is not None:
                    await asyncio.to_thread(fault.hold.wait, 10)
                await self._hang_up(reset=fault.reset)
            case Raw():
                await self._chop(fault.body, fault.chop, fault.content_type)
            case Split():
                await self._chop(b"".join(events), fault.size)
            case Garble():
                await self._start()
                await self._end(b"".join(events[: fault.after_events]) + GARBAGE)
            case _:
                shown = events[: fault.events] if isinstance(fault, Truncate) else events
                await self._stream(shown, pace)

    async def _stream(self, events: Sequence[bytes], pace: Pace) -> None:
        await self._start()
        if pace.hold is not None:
            await asyncio.to_thread(pace.hold.wait, 10)
        if pace.first_token_s:
            await asyncio.sleep(pace.first_token_s)
        if pace.burst:
            await self._end(b"".join(events))
            return
        # Role, content, finish, usage, end: only content takes time, as the role comes with the
        # first token and the rest with the last.
        fake = self._fake
        for index, event in enumerate(events):
            if pace.token_s and 1 < index < len(events) - 3:
                await asyncio.sleep(pace.token_s)
            while fake.frozen:  # noqa: ASYNC110 - another thread thaws it
                await asyncio.sleep(_FROZEN_S)
            if fake.garbling:
                await self._end(GARBAGE)
                return
            await self._write(event)
        await self._end()

    async def _chop(self, body: bytes, size: int, content_type: str = _STREAM) -> None:
        await self._start(content_type)
        size = size or max(len(body), 1)
        for at in range(0, len(body), size):
            await self._write(body[at : at + size])
            await asyncio.sleep(0)
        await self._end()

    async def _fall_silent(self, events: Sequence[bytes], silence: Silence) -> None:
        if silence.events is not None:
            await self._start()
            await self._write(b"".join(events[: silence.events]))
        while silence.comment_s is not None:
            await asyncio.sleep(silence.comment_s)
            await self._write(b": keep-alive\n\n")
        await asyncio.Event().wait()

    async def _hang_up(self, *, reset: bool = False) -> None:
        if reset:
            self._transport.abort()
        else:
            self._transport.close()
        await asyncio.Event().wait()  # until the watcher sees it

    async def _start(self, content_type: str = _STREAM) -> None:
        headers = [(b"content-type", content_type.encode())]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _end(self, data: bytes = b"") -> None:
        self._received.ended.set()
        await self._send({"type": "http.response.body", "body": data, "more_body": False})


def _beginning(events: Sequence[bytes], cut: Cut) -> bytes:
    if cut.after_events is not None:
        return b"".join(events[: cut.after_events])
    return b"".join(events)[: cut.after_bytes]


async def _watch(receive: Receive, received: Received) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            if received.ended.is_set():
                return
            raise _Gone
