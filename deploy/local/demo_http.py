"""The same service over the OpenAI API: a streamed answer with the key, none without."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console

QUESTION = "租約到期了，房東一直不退押金，該怎麼辦？"
TIMEOUT_S = 120


def ask_over_http(console: Console, address: str, key: str) -> str:
    """Ask with the key and without, and show it; give what is wrong, empty: nothing."""
    status, _ = _post(address, "")
    console.print(f"[bold]POST /v1/chat/completions[/] without a key → {status}")
    if status != 401:
        return f"a call without a key got status {status}, not 401"
    console.print(f"[bold]POST /v1/chat/completions[/] {QUESTION}")
    begun = time.monotonic()
    status, events = _post(address, key)
    if status != 200:
        return f"status {status}"
    pieces, finish = 0, ""
    for event in events:
        if decided := event.get("tame", {}).get("decision"):
            console.print(f"  → [cyan]{decided['experts'][0]['expert']}[/] ", end="")
        for choice in event["choices"]:
            if text := choice["delta"].get("content"):
                if not pieces:
                    console.print(f"[dim]{(time.monotonic() - begun) * 1e3:.0f} ms[/] ", end="")
                pieces += 1
                console.print(text, end="", markup=False)
            finish = choice["finish_reason"] or finish
    console.print("\n")
    return "" if pieces > 1 and finish else f"{pieces} pieces, finish_reason {finish!r}"


def _post(address: str, key: str) -> tuple[int, Iterator[dict[str, Any]]]:
    """Send the question; give the status, and the events of the stream."""
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_S)
    body = {
        "model": "tame-auto",
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 48,
        "stream": True,
    }
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    connection.request("POST", "/v1/chat/completions", json.dumps(body).encode(), headers)
    response = connection.getresponse()
    return response.status, _events(response)


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    for line in response:
        if line.startswith(b"data: {"):
            yield json.loads(line[len(b"data: ") :])
