"""A vLLM server without a model: real sockets, vLLM's wire format, and faults on request.

Started alone it is a load target: `python -m tests.fakes.vllm --port 8100 --token-ms 5`.
"""

import argparse
import json
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.fakes import vllm_wire as wire
from tests.fakes.uvicorn_thread import UvicornThread
from tests.fakes.vllm_chat import ChatEndpoint
from tests.fakes.vllm_metrics import Figures, page
from tests.fakes.vllm_resolver import Resolver
from tests.fakes.vllm_scoring import complete
from tests.fakes.vllm_script import Case, Fault, Pace, Received
from tests.fakes.vllm_slots import Slots

BASE_MODEL = "smollm2-135m-instruct"
ADAPTERS = ("legal--0123456789abcdef", "medical--fedcba9876543210")
MAX_MODEL_LEN = 2048
_NO_CASE = Case()


class FakeVllm:
    """The server; a context manager that serves inside it.

    Attributes:
        pace: How answers are written.
        text: What every answer says; empty: something deterministic for each prompt and model.
        texts: What the answers of some base models or adapters say, by name.
        paces: How some of them write, by name.
        faults: What goes wrong at some of them every time, by name.
        cases: What holds for prompts in which a word stands, before all that, by this word.
        logprobs: Log-probability of each token of some of them, by name; else -0.25.
        worse: By how many nats some of them score words less well, by name.
        judge: Says of drafts, which it reads as the prompt has them, which is the best, from 1;
            None: the first.
        adapters: Names of the adapters that are loaded from the start.
        resolver: What becomes of names that are not.
        max_model_len: The context, in tokens.
        api_key: Key that requests below `/v1` must carry; empty: none.
        starting: `/health` and answers are refused with 503.
        lying: `/health` says 200 all the same.
        always: Every answer goes wrong like this.
        frozen: Answers under way stand still as long as this is set.
        garbling: Answers under way go on with garbage.
        slots: Answers that it writes at once, and those that wait; as many as come, unless set.
        received: All requests since the last reset, oldest first.
        inbox: The same, for a test that waits for one: `inbox.get(timeout=5)`.
        finished: Answers by how they ended: stop, length, abort.
        figures: What `/metrics` says beside what it does.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self.reset()
        self.running = 0
        self._app = Starlette(
            routes=[
                Route("/health", self._health),
                Route("/metrics", self._metrics),
                Route("/tokenize", self._tokenize, methods=["POST"]),
                Route("/v1/models", self._models),
                Route("/v1/completions", partial(complete, self), methods=["POST"]),
                Route("/v1/chat/completions", ChatEndpoint(self), methods=["POST"]),
            ]
        )
        self._host = host
        self._thread = UvicornThread(self._app, port, host)

    def reset(self) -> None:
        """Forget requests and instructions."""
        self.pace = Pace()
        self.text = ""
        self.texts: dict[str, str] = {}
        self.paces: dict[str, Pace] = {}
        self.faults: dict[str, Fault] = {}
        self.cases: dict[str, Case] = {}
        self.logprobs: dict[str, float] = {}
        self.worse: dict[str, float] = {}
        self.judge: Callable[[str], int] | None = None
        self.base_model = BASE_MODEL
        self.adapters: Sequence[str] = ADAPTERS
        self.resolver = Resolver()
        self.max_model_len = MAX_MODEL_LEN
        self.api_key = ""
        self.starting = False
        self.lying = False
        self.always: Fault | None = None
        self.frozen = False
        self.garbling = False
        self.slots = Slots()
        self.received: list[Received] = []
        self.inbox: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self.finished: dict[str, int] = {"stop": 0, "length": 0, "abort": 0}
        self.plain_faults: dict[str, Response] = {}
        self.figures = Figures()
        self._faults: deque[Fault] = deque()

    def __enter__(self) -> Self:
        """Start."""
        self._thread.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Stop."""
        self._thread.__exit__(*error)

    def kill(self) -> None:
        """Die at once: connections are reset, and nothing listens any more."""
        self._thread.kill()
        self.resolver.loaded.clear()

    def restart(self) -> None:
        """Be another process, so fast that nobody sees it away: what was loaded is gone."""
        self.resolver.loaded.clear()
        self.figures.started_at += 60

    def revive(self) -> None:
        """Start again on the same port, with the same instructions."""
        self._thread = UvicornThread(self._app, self._thread.port, self._host)
        self._thread.__enter__()

    @property
    def alive(self) -> bool:
        """Whether it listens."""
        return self._thread.alive

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._thread.port

    @property
    def connections(self) -> int:
        """How many connections it holds open."""
        return self._thread.connections

    @property
    def root_url(self) -> str:
        """Address of the server."""
        return f"http://{self._host}:{self._thread.port}"

    @property
    def base_url(self) -> str:
        """Address of its OpenAI API."""
        return f"{self.root_url}/v1"

    @property
    def chats(self) -> list[Received]:
        """The requests for an answer, oldest first."""
        return [one for one in self.received if one.path == "/v1/chat/completions"]

    def next(self, *faults: Fault) -> None:
        """Let the next requests for an answer go wrong, one fault each, then none."""
        self._faults.extend(faults)

    def forgive(self) -> None:
        """Let no further answers go wrong."""
        self._faults.clear()

    def forget(self) -> None:
        """Throw away the notes of requests, but keep instructions."""
        self.received = []
        self.inbox = queue.SimpleQueue()

    def share_faults(self, others: "Sequence[FakeVllm]") -> None:
        """Have one list of faults with others: the next answer goes wrong wherever it is asked."""
        for other in others:
            other._faults = self._faults

    def answer_plainly(self, path: str, response: Response) -> None:
        """Answer `/tokenize`, `/v1/models` or `/health` with this until the next reset."""
        self.plain_faults[path] = response

    def case_of(self, messages: list[dict[str, str]]) -> Case:
        """Give what holds for a prompt alone."""
        prompt = "".join(str(message["content"]) for message in messages) if self.cases else ""
        return next((case for word, case in self.cases.items() if word in prompt), _NO_CASE)

    def tokens_for(self, model: str, messages: list[dict[str, str]]) -> tuple[str, ...]:
        """Give the answer that a prompt gets, token by token."""
        if text := self.case_of(messages).texts.get(model) or self.texts.get(model, self.text):
            return tuple(text)
        return wire.tokens_for(model, messages, self.pace.answer_tokens)

    def take_fault(self, model: str, messages: list[dict[str, str]]) -> Fault | None:
        """Give the fault of a base model or adapter, or take the next off the list."""
        if fault := self.case_of(messages).faults.get(model) or self.faults.get(model):
            return fault
        return self._faults.popleft() if self._faults else self.always

    def record(self, request: Request, body: dict[str, Any]) -> Received:
        """Take note of a request."""
        received = Received(
            path=request.url.path,
            headers=dict(request.headers),
            body=body,
            connection=request.client.port if request.client else 0,
        )
        self.received.append(received)
        self.inbox.put(received)
        return received

    def refusal(self, request: Request) -> Response | None:
        """Refuse what a server that is keyed, or starting, refuses."""
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            return JSONResponse({"error": "Unauthorized"}, status_code=401)
        if self.starting:
            return JSONResponse(wire.error_document(503, "starting"), status_code=503)
        return None

    async def _health(self, request: Request) -> Response:
        self.record(request, {})
        return self.plain_faults.get("/health") or Response(
            status_code=503 if self.starting and not self.lying else 200
        )

    async def _models(self, request: Request) -> Response:
        self.record(request, {})
        fault = self.plain_faults.get("/v1/models") or self.refusal(request)
        names = (*self.adapters, *self.resolver.loaded)
        listing = wire.model_list(self.base_model, names, self.max_model_len)
        return fault or JSONResponse(listing)

    async def _tokenize(self, request: Request) -> Response:
        body = await request.json()
        self.record(request, body)
        if "prompt" in body:
            tokens = list(map(ord, body["prompt"]))
        else:
            tokens = list(range(wire.count_tokens(body["messages"])))
        answer = {
            "count": len(tokens),
            "max_model_len": self.max_model_len,
            "tokens": tokens,
            "token_strs": None,
        }
        return self.plain_faults.get("/tokenize") or JSONResponse(answer)

    async def _metrics(self, request: Request) -> Response:
        self.record(request, {})
        waiting = self.figures.waiting + len(self.slots.waiting)
        figures = replace(self.figures, waiting=waiting)
        written = page(figures, self.base_model, self.running, self.finished)
        kind = {"content-type": "text/plain; version=1.0.0; charset=utf-8"}
        return PlainTextResponse(written, self.figures.status, headers=kind)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A vLLM server without a model.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--first-token-ms", type=float, default=0)
    parser.add_argument("--token-ms", type=float, default=0)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--tokens-per-event", type=int, default=1)
    parser.add_argument("--slots", type=int, default=0, help="answers at once; 0: all")
    parser.add_argument("--adapter", action="append", help="name of an adapter that is loaded")
    parser.add_argument("--resolve", action="store_true", help="load revisions by their names")
    parser.add_argument("--burst", action="store_true", help="the whole answer in one write")
    arguments = parser.parse_args()
    with FakeVllm(arguments.port) as fake:
        fake.adapters = tuple(arguments.adapter or ADAPTERS)
        fake.resolver.active = arguments.resolve
        fake.slots.most = arguments.slots
        fake.pace = Pace(
            first_token_s=arguments.first_token_ms / 1000,
            token_s=arguments.token_ms / 1000,
            tokens_per_event=arguments.tokens_per_event,
            burst=arguments.burst,
            answer_tokens=arguments.tokens,
        )
        print(json.dumps({"base_url": fake.base_url}), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
