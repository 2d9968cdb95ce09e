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


FINGERPRINT = {"system_fingerprint": "vllm-0.32.0-01234567"}
"""What the event tells that is the last of a stream."""

DONE = b"data: [DONE]\n\n"
FIRST: dict[str, Any] = {"prompt_token_ids": None, "prompt_text": None}
"""What the first event of each choice tells beside the others."""


@lru_cache(maxsize=1024)
def answer_events(
    model: str,
    tokens: tuple[str, ...],
    *,
    tokens_per_event: int = 1,
    finish_reason: str = "stop",
    prompt_tokens: int = 0,
    usage: bool = True,
    counted: bool = False,
) -> tuple[bytes, ...]:
    """Write a whole answer: role, content, finish, usage where asked for, end.

    Where tokens are `counted` (`continuous_usage_stats`), every event tells those so far.
    """
    head = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1_800_000_000,
        "model": model,
    }

    def counts(written: int) -> dict[str, int]:
        return {
            "prompt_tokens": prompt_tokens,
            "total_tokens": prompt_tokens + written,
            "completion_tokens": written,
        }

    def chunk(written: int, delta: dict[str, str], reason: str | None = None) -> bytes:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "logprobs": None}
        choice["finish_reason"] = reason
        if reason is not None:
            choice["stop_reason"] = None
        first = "role" in delta
        document = {**head, "choices": [choice if first else {**choice, "token_ids": None}]}
        if counted:
            document["usage"] = {**counts(written), "completion_tokens_details": None}
        if reason is not None and not usage:
            document |= FINGERPRINT
        return event({**document, **FIRST} if first else document)

    events = [chunk(0, {"role": "assistant", "content": ""})]
    for at in range(0, len(tokens), tokens_per_event):
        shown = tokens[at : at + tokens_per_event]
        events.append(chunk(at + len(shown), {"content": "".join(shown)}))
    events.append(chunk(len(tokens), {"content": ""}, finish_reason))
    if usage:
        events.append(event({**head, "choices": [], "usage": counts(len(tokens)), **FINGERPRINT}))
    return (*events, DONE)


def rest_of(tokens: Sequence[str], beginning: str) -> tuple[str, ...]:
    """Give what follows the beginning of an answer; a token that is cut is written from there.

    Like the chat templates of Llama 3, this leaves out white space at the beginning's end.
    What does not begin the answer is gone on with by words that no answer holds.
    """
    beginning = beginning.strip()
    text = "".join(tokens)
    start = len(text) - len(text.lstrip()) if beginning else 0
    if not text.startswith(beginning, start):
        return ("\N{REPLACEMENT CHARACTER}", "no beginning of this answer")
    end, at = start + len(beginning), 0
    for index, token in enumerate(tokens):
        if at + len(token) > end:
            return (token[end - at :], *tokens[index + 1 :])
        at += len(token)
    return ()


def stopped(tokens: Sequence[str], stops: Sequence[str]) -> tuple[str, ...] | None:
    """Give the tokens up to a stop string, without it; None: there is none in them.

    The token that the string ends in is written too: it has been made, and is counted.
    """
    text = ""
    for index, token in enumerate(tokens, 1):
        text += token
        found = [at for stop in stops if (at := text.find(stop)) >= 0]
        if found:
            left, shown = min(found), []
            for written in tokens[:index]:
                shown.append(written[:left])
                left -= len(shown[-1])
            return tuple(shown)
    return None


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
    permission = {
        "id": "modelperm-0123456789abcdef",
        "object": "model_permission",
        "created": 1_800_000_000,
        **dict.fromkeys(("allow_sampling", "allow_logprobs", "allow_view"), True),
        **dict.fromkeys(("allow_create_engine", "allow_search_indices"), False),
        **dict.fromkeys(("allow_fine_tuning", "is_blocking"), False),
        "organization": "*",
        "group": None,
    }
    common = {
        "object": "model",
        "created": 1_800_000_000,
        "owned_by": "vllm",
        "permission": [permission],
    }
    cards: list[dict[str, Any]] = [
        {"id": base_model, **common, "root": base_model, "parent": None, "max_model_len": limit}
    ]
    cards += [
        {"id": name, **common, "root": name, "parent": base_model, "max_model_len": None}
        for name in adapters
    ]
    return {"object": "list", "data": cards}
