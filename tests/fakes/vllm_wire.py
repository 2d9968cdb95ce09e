"""The bytes that vLLM 0.32 sends, made without vLLM."""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

_VOCABULARY = (
    *(
        "依",
        "《",
        "勞動基準法",
        "》",
        "第二十四條",
        "，",
        "加班費",
        "應",
        "按",
        "平日",
        "工資額",
        "。",
    ),
    *("MOSFET", " 的", " gate", " driver", " should", " source", " 4", " A", ", ", " so", " the"),
    *(" switch", " turns", " on", " fast", ".\n", "\n\n", "\t", '"', "\\", "/", "🩺", "📈"),
    *("é", "ß", " — ", "%"),
)
TOKENS_PER_MESSAGE = 5
TOKENS_PER_PROMPT = 3


def count_tokens(messages: Sequence[dict[str, Any]]) -> int:
    """Count a prompt's tokens by this fake's rule: four bytes make one."""
    return TOKENS_PER_PROMPT + sum(
        TOKENS_PER_MESSAGE + len(str(message.get("content") or "").encode()) // 4
        for message in messages
    )


def tokens_for(model: str, messages: Sequence[dict[str, Any]], count: int) -> tuple[str, ...]:
    """Give the answer that this base model or adapter writes to this prompt, every time."""
    seed = hashlib.sha256(f"{model}\n{json.dumps(messages)}".encode()).digest()
    return _tokens(seed, count)


@lru_cache(maxsize=1024)
def _tokens(seed: bytes, count: int) -> tuple[str, ...]:
    words = [seed.hex()[:8]]
    while len(words) < count:
        seed = hashlib.sha256(seed).digest()
        words += [_VOCABULARY[byte % len(_VOCABULARY)] for byte in seed]
    return tuple(words[:count])


def event(document: dict[str, Any]) -> bytes:
    """Frame a document as an event."""
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


@lru_cache(maxsize=1024)
def answer_events(
    model: str,
    tokens: tuple[str, ...],
    *,
    tokens_per_event: int = 1,
    finish_reason: str = "stop",
    prompt_tokens: int = 0,
    usage: bool = True,
) -> tuple[bytes, ...]:
    """Write a whole answer: role, content, finish, usage where asked for, end."""
    head = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1_800_000_000,
        "model": model,
    }

    def chunk(delta: dict[str, str], reason: str | None = None) -> bytes:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "logprobs": None}
        choice["finish_reason"] = reason
        if reason is not None:
            choice["stop_reason"] = None
        return event({**head, "choices": [choice]})

    events = [chunk({"role": "assistant", "content": ""})]
    steps = range(0, len(tokens), tokens_per_event)
    events += [chunk({"content": "".join(tokens[at : at + tokens_per_event])}) for at in steps]
    events.append(chunk({"content": ""}, finish_reason))
    if usage:
        counts = {
            "prompt_tokens": prompt_tokens,
            "total_tokens": prompt_tokens + len(tokens),
            "completion_tokens": len(tokens),
        }
        events.append(event({**head, "choices": [], "usage": counts}))
    return (*events, DONE)


def error_document(
    status: int, message: str, kind: str = "BadRequestError", param: str | None = None
) -> dict[str, Any]:
    """Write an error the way vLLM does, in a body or in a stream."""
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}


def error_body(
    status: int, message: str, kind: str = "BadRequestError", param: str | None = None
) -> bytes:
    """Encode an error as a body."""
    return json.dumps(error_document(status, message, kind, param)).encode()


def context_fault(prompt_tokens: int, max_tokens: int | None, limit: int) -> bytes | None:
    """Refuse what vLLM 0.32 refuses; what merely has to be cut is not refused."""
    if max_tokens is not None and max_tokens > limit:
        text = f"max_tokens={max_tokens} cannot be greater than max_model_len={limit}."
        return error_body(400, f"{text} Please request fewer output tokens.", param="max_tokens")
    if prompt_tokens > limit:
        return error_body(
            400,
            f"This model's maximum context length is {limit} tokens. However, your prompt contains"
            f" at least {limit + 1} input tokens, which exceeds this limit even without any output"
            " tokens. Please reduce the length of the input prompt.",
            param="input_tokens",
        )
    if prompt_tokens == limit:
        return error_body(
            400, "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)",
            param="max_tokens",
        )  # fmt: skip
    return None


def model_list(base_model: str, adapters: Sequence[str], limit: int) -> dict[str, Any]:
    """List the base model, then its adapters."""
    common = {"object": "model", "created": 1_800_000_000, "owned_by": "vllm"}
    cards: list[dict[str, Any]] = [
        {"id": base_model, **common, "root": base_model, "parent": None, "max_model_len": limit}
    ]
    cards += [
        {"id": name, **common, "root": name, "parent": base_model, "max_model_len": None}
        for name in adapters
    ]
    return {"object": "list", "data": cards}
