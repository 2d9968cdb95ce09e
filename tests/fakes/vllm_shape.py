"""What the fake vLLM writes where more than plain text is asked for, in vLLM 0.32's wire format.

It calls a tool where the caller says that it must, and where the last turn is a user's that
holds the tool's name.
"""

import json
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from tests.fakes.json_sample import sample
from tests.fakes.vllm_wire import DONE, FINGERPRINT, FIRST, event

Body = dict[str, Any]
_CHARS_PER_TOKEN = 4
_ASKS_FOR_MORE = ("tools", "n", "logprobs", "response_format")


def is_shaped(body: Body) -> bool:
    """Tell whether a request asks for more than one plain text."""
    return any(body.get(key) for key in _ASKS_FOR_MORE)


def shaped_events(
    body: Body,
    tokens: Sequence[str],
    prompt_tokens: int,
    room: int,
    *,
    logprob: float = -0.25,
) -> tuple[tuple[bytes, ...], str]:
    """Write the whole answer, and say why its first choice ends.

    Args:
        body: The request.
        tokens: What the answer says where nothing else is asked for.
        prompt_tokens: For the usage.
        room: Tokens that fit.
        logprob: Of each token.
    """
    limit = min(body.get("max_tokens", room), room)
    answers = [_answer(body, tokens, choice, limit, logprob) for choice in range(body.get("n", 1))]
    head = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1_800_000_000,
        "model": body["model"],
    }
    choices: list[dict[str, Any]] = [
        {"index": index, "delta": {"role": "assistant", "content": ""}, "logprobs": None,
         "finish_reason": None}
        for index in range(len(answers))
    ]  # fmt: skip
    for at_once in zip_longest(*(pieces for pieces, _ in answers)):
        choices += [piece for piece in at_once if piece is not None]
    events = [
        event({**head, "choices": [choice], **(FIRST if "role" in choice["delta"] else {})})
        for choice in choices
    ]
    if body.get("stream_options", {}).get("include_usage"):
        written = sum(count for _, count in answers)
        usage = {
            "prompt_tokens": prompt_tokens,
            "total_tokens": prompt_tokens + written,
            "completion_tokens": written,
        }
        events.append(event({**head, "choices": [], "usage": usage, **FINGERPRINT}))
    ends = answers[0][0][-1]["finish_reason"]
    return (*events, DONE), "length" if ends == "length" else "stop"


def _answer(
    body: Body, tokens: Sequence[str], index: int, limit: int, logprob: float
) -> tuple[list[dict[str, Any]], int]:
    tool = _called(body)
    if tool is not None:
        return _call(body, tool, index, limit)
    held = (body.get("response_format") or {}).get("type", "text")
    if held == "json_object":
        tokens = _cut(json.dumps({"answer": "".join(tokens)}, ensure_ascii=False))
    elif held == "json_schema":
        value = sample(body["response_format"]["json_schema"]["schema"])
        tokens = _cut(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    elif index:
        tokens = [f"({index + 1}) ", *tokens]
    written = tokens[:limit]
    pieces = [
        _choice(index, {"content": token}, logprobs=_logprobs(body, token, logprob))
        for token in written
    ]
    reason = "stop" if len(tokens) <= limit else "length"
    pieces.append(_choice(index, {"content": ""}, reason))
    return pieces, len(written)


def _call(
    body: Body, tool: dict[str, Any], index: int, limit: int
) -> tuple[list[dict[str, Any]], int]:
    arguments = json.dumps(sample(tool.get("parameters") or {"type": "object"}))
    opening = {"index": 0, "id": f"chatcmpl-tool-{index:016x}", "type": "function"}
    deltas: list[dict[str, Any]] = [{**opening, "function": {"name": tool["name"]}}]
    deltas += [{"index": 0, "function": {"arguments": part}} for part in _cut(arguments)]
    written = deltas[:limit]
    pieces = [_choice(index, {"content": None, "tool_calls": [delta]}) for delta in written]
    reason = "stop" if isinstance(body.get("tool_choice"), dict) else "tool_calls"
    pieces.append(_choice(index, {}, reason if len(deltas) <= limit else "length"))
    return pieces, len(written)


def _choice(
    index: int, delta: dict[str, Any], reason: str | None = None, logprobs: Any = None
) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
    if reason is not None:
        choice["stop_reason"] = None
    return {**choice, "token_ids": None}


def _called(body: Body) -> dict[str, Any] | None:
    """Give the function that is called; None: the answer is a text."""
    functions: list[dict[str, Any]] = [tool["function"] for tool in body.get("tools") or []]
    choice, last = body.get("tool_choice", "auto"), body["messages"][-1]
    if isinstance(choice, dict):
        functions = [one for one in functions if one["name"] == choice["function"]["name"]]
    elif choice == "none":
        return None
    elif choice == "auto":
        asked = last["content"] if last["role"] == "user" else ""
        functions = [one for one in functions if one["name"] in asked]
    return functions[0] if functions else None


def _logprobs(body: Body, token: str, logprob: float) -> dict[str, Any] | None:
    if not body.get("logprobs"):
        return None
    entry = {"token": token, "logprob": logprob, "bytes": list(token.encode())}
    others = [{**entry, "logprob": logprob - n} for n in range(body.get("top_logprobs") or 0)]
    return {"content": [{**entry, "top_logprobs": others}]}


def _cut(text: str) -> list[str]:
    return [text[at : at + _CHARS_PER_TOKEN] for at in range(0, len(text), _CHARS_PER_TOKEN)]
