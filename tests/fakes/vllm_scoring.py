"""How the fake vLLM scores words: `/v1/completions` for one token, with chosen log-probabilities.

What a token is worth depends on it and on the prompt alone, so that equal adapters score
alike; one that is made worse gets less of whatever a text really says next.
"""

import json
import zlib
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.fakes import vllm_wire as wire

if TYPE_CHECKING:
    from tests.fakes.vllm import FakeVllm


async def complete(fake: "FakeVllm", request: Request) -> Response:
    """Answer what a gate asks: which of some tokens would come next, behind each prompt."""
    body = json.loads(await request.body())
    fake.record(request, body)
    name = body["model"]
    refusal = fake.refusal(request) or await fake.resolver.resolve(fake, name)
    if refusal is not None:
        return refusal
    if name not in {fake.base_model, *fake.adapters, *fake.resolver.loaded}:
        text = f"The model `{name}` does not exist."
        return JSONResponse(wire.error_document(404, text, "NotFoundError", "model"), 404)
    tokens = body["logprob_token_ids"]
    worse = fake.worse.get(name, 0.0)
    choices = []
    for index, prompt in enumerate(body["prompt"]):
        top = {f"token_id:{token}": _worth(prompt, token) - worse for token in tokens}
        logprobs = {"tokens": ["token_id:1"], "token_logprobs": [-0.1], "top_logprobs": [top]}
        choices.append(
            {"index": index, "text": "", "logprobs": logprobs, "finish_reason": "length"}
        )
    usage = {"prompt_tokens": 1, "completion_tokens": len(choices), "total_tokens": 2}
    return JSONResponse(
        {"object": "text_completion", "model": name, "choices": choices, "usage": usage}
    )


def _worth(prompt: list[int], token: int) -> float:
    drawn = zlib.crc32(f"{prompt[-3:]} {token}".encode()) % 1000
    return -0.5 - drawn / 500
