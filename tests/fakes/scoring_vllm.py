"""The fake vLLM, which also says how likely tokens are: what a gate asks.

A text's tokens are its characters. Behind an opening parenthesis a letter is wanted: each
name prefers one. Behind everything else any token costs so many nats as its name is told.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes import vllm_wire as wire
from tests.fakes.vllm import FakeVllm

SURE, UNSURE = -0.1, -4.0


class ScoringVllm(FakeVllm):
    """The server; a context manager that serves inside it.

    Attributes:
        letters: The letter that a base model or adapter prefers, by name; else A.
        losses: Nats a token of references, by name; else 2.
        nonsense: Names whose probabilities are no JSON.
    """

    def reset(self) -> None:
        """Forget requests and instructions."""
        super().reset()
        self.letters: dict[str, str] = {}
        self.losses: dict[str, float] = {}
        self.nonsense: set[str] = set()

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        # Before the plain fake's, which scores by words.
        self._app.router.routes.insert(
            0, Route("/v1/completions", self._complete, methods=["POST"])
        )

    async def _tokenize(self, request: Request) -> Response:
        body = await request.json()
        self.record(request, body)
        if fault := self.plain_faults.get("/tokenize"):
            return fault
        text = body.get("prompt") or "\n".join(turn["content"] for turn in body["messages"])
        tokens = [ord(character) for character in text]
        return JSONResponse(
            {"count": len(tokens), "max_model_len": self.max_model_len, "tokens": tokens}
        )

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        self.record(request, body)
        model = body["model"]
        if fault := self.plain_faults.get("/v1/completions"):
            return fault
        if model not in {self.base_model, *self.adapters}:
            return JSONResponse(wire.error_document(404, "no such name"), status_code=404)
        if model in self.nonsense:
            return Response(b'{"choices": [NaN]}', media_type="application/json")
        choices = [
            {
                "index": number,
                "text": "",
                "logprobs": {"top_logprobs": [self._likely(body, prompt)]},
            }
            for number, prompt in enumerate(body["prompt"])
        ]
        return JSONResponse({"choices": choices[::-1]})

    def _likely(self, body: dict[str, Any], prompt: list[int]) -> dict[str, float]:
        model, tokens = body["model"], body["logprob_token_ids"]
        if prompt[-1] == ord("("):
            preferred = ord(self.letters.get(model, "A"))
            values = {token: SURE if token == preferred else UNSURE for token in tokens}
        else:
            values = dict.fromkeys(tokens, -self.losses.get(model, 2.0))
        return {f"token_id:{token}": value for token, value in values.items()}
