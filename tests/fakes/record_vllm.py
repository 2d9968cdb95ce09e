"""Record what a real vLLM sends, so that the fake can be held against it.

    python -m tests.fakes.record_vllm [--out tests/fakes/recordings]

It starts the engine of `make engine` on a free port, with one reference adapter, asks it what
stands in `CASES`, and stops it: two minutes on two cores. What differs from one run to the next
(ids, times, addresses, numbers of metrics) is replaced, so that recordings change only where
vLLM's wire format does.
"""

import argparse
import json
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tame_router import local_engine
from tame_router.backends.engine.process import key_file, launch, stop, wait_ready
from tame_router.config_file import load_settings

ROOT: Final = Path(__file__).resolve().parents[2]
RECORDINGS: Final = Path(__file__).resolve().parent / "recordings"
BASE_MODEL: Final = ROOT / ".tame/base_models/smollm2-135m-instruct"
CREATED: Final = 1_800_000_000
START_TIMEOUT_S: Final = 300
_CHAT: Final = "/v1/chat/completions"
_ASKED: Final[list[dict[str, Any]]] = [{"role": "user", "content": "Name three fruits."}]
_USAGE: Final = {"include_usage": True}
_TOOL: Final = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"day": {"enum": [0, 1, 2]}},
            "required": ["day"],
            "additionalProperties": False,
        },
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request.

    Attributes:
        name: Of the recording.
        path: What is asked for.
        body: Its JSON; None: a GET. Of `model`, `ADAPTER` stands for the adapter's name.
        keyed: It carries the server's key.
    """

    name: str
    path: str
    body: dict[str, Any] | None = None
    keyed: bool = True


def _chat(**more: Any) -> dict[str, Any]:
    """Write a short question whose answer is always the same."""
    model = "smollm2-135m-instruct"
    plain = {"model": model, "messages": _ASKED, "max_tokens": 6, "temperature": 0, "stream": True}
    return plain | more


CASES: Final = (
    Case(name="stream", path=_CHAT, body=_chat(stream_options=_USAGE)),
    Case(name="stream_without_usage", path=_CHAT, body=_chat()),
    Case(
        name="stream_counted",
        path=_CHAT,
        body=_chat(stream_options={**_USAGE, "continuous_usage_stats": True}),
    ),
    Case(name="stream_of_adapter", path=_CHAT, body=_chat(model="ADAPTER", stream_options=_USAGE)),
    Case(
        name="stream_with_logprobs",
        path=_CHAT,
        body=_chat(logprobs=True, top_logprobs=2, stream_options=_USAGE),
    ),
    Case(
        name="tool_call",
        path=_CHAT,
        body=_chat(
            tools=[_TOOL],
            tool_choice={"type": "function", "function": {"name": "weather"}},
            max_tokens=60,
            stream_options=_USAGE,
        ),
    ),
    Case(name="unknown_model", path=_CHAT, body=_chat(model="nobody--0000000000000000")),
    Case(name="too_many_tokens", path=_CHAT, body=_chat(max_tokens=100_000)),
    Case(name="without_key", path=_CHAT, body=_chat(), keyed=False),
    Case(name="tokenize", path="/tokenize", body={"model": "ADAPTER", "messages": _ASKED}),
    Case(name="models", path="/v1/models"),
    Case(name="metrics", path="/metrics"),
    Case(name="health", path="/health"),
)


def ask(root_url: str, case: Case, adapter: str, key: str) -> dict[str, Any]:
    """Send a request, and give what came: status, type, body."""
    body = case.body
    if body is not None and body["model"] == "ADAPTER":
        body = {**body, "model": adapter}
    headers = {"Content-Type": "application/json"}
    if case.keyed:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(root_url + case.path, data, headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            status, kind, text = answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        status, kind, text = error.code, error.headers["Content-Type"], error.read()
    return {
        "path": case.path,
        "request": body,
        "keyed": case.keyed,
        "status": status,
        "content_type": kind,
        "body": scrubbed(case.path, text.decode()),
    }


def scrubbed(path: str, text: str) -> list[str]:
    """Give the lines of a body, without what differs from one run to the next."""
    if path == "/metrics":
        return _metric_lines(text)
    text = re.sub(r'"(chatcmpl|modelperm)-(tool-)?[0-9a-f]+"', r'"\1-\g<2>0123456789abcdef"', text)
    text = re.sub(r'"created": ?\d+', f'"created":{CREATED}', text)
    text = re.sub(r'"root": ?"[^"]*/', '"root":"', text)
    text = re.sub(r'("(?:logprob)"): ?-?[\d.e-]+', r"\1:-0.25", text)
    return text.split("\n")


def _metric_lines(text: str) -> list[str]:
    """Give types and names of vLLM's own metrics, once each; buckets and numbers are left out."""
    lines = []
    for line in text.splitlines():
        own = line.startswith(("# TYPE vllm:", "vllm:"))
        if own and "_bucket{" not in line and not re.search(r"_created\b", line):
            lines.append(line if line.startswith("#") else f"{line.rsplit(' ', 1)[0]} 0.0")
    return list(dict.fromkeys(lines))


def record(out: Path, cases: Sequence[Case] = CASES) -> None:
    """Start the engine, ask, write the recordings, and stop it."""
    settings = load_settings(given={"engine": {"base_model": str(BASE_MODEL)}})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = local_engine.engine_spec(settings)
        spec = replace(
            spec,
            adapters=spec.adapters[:1],
            adapter_store=None,
            port=0,
            state_dir=folder,
            log_path=folder / "engine.log",
        )
        try:
            state = launch(spec)
            wait_ready(state, timeout_s=START_TIMEOUT_S)
            key = key_file(folder).read_text(encoding="ascii").strip()
            out.mkdir(parents=True, exist_ok=True)
            for case in cases:
                found = ask(state.base_url.removesuffix("/v1"), case, spec.adapters[0][0], key)
                text = json.dumps(found, ensure_ascii=False, indent=1)
                (out / f"{case.name}.json").write_text(text + "\n", encoding="utf-8")
                print(f"{case.name}: {found['status']}, {len(found['body'])} lines")
        finally:
            stop(folder)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=RECORDINGS, help="folder for the recordings")
    record(parser.parse_args().out)


if __name__ == "__main__":
    main()
