"""Closes the doors that loading by name opens: vLLM's routes to load and unload adapters.

vLLM asks a resolver only with VLLM_ALLOW_RUNTIME_LORA_UPDATING set, and then also lets whoever
reaches its port load any folder under any name. Pure ASGI; `--middleware` takes the class.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import unquote

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_WORDS: Final = ("load_lora_adapter", "unload_lora_adapter")
_SEGMENT: Final = "adapters"
"""SageMaker's routes to the same, which vLLM has too."""

_DECODINGS: Final = 8
_REFUSAL: Final = json.dumps(
    {
        "error": {
            "message": "adapters are loaded by the name of a revision that the store holds, and"
            " by no other way; upload and publish one with `tame adapter`",
            "type": "PermissionDeniedError",
            "param": None,
            "code": 403,
        }
    }
).encode()


class ClosedLoraRoutes:
    """Refuses what would load or unload an adapter, by any method; lets all else through.

    Args:
        app: What is behind it.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request."""
        if scope["type"] == "lifespan" or not closed(_path(scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(_REFUSAL)).encode()),
            ]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": _REFUSAL})


def closed(path: str) -> bool:
    """Tell whether a path may lead to one of those routes, however it is written.

    No other route of vLLM's has such a part, so a path that merely looks like one is refused too.
    """
    for _ in range(_DECODINGS):
        decoded = unquote(path)
        if decoded == path:
            break
        path = decoded
    path = path.lower().replace("\\", "/")
    if any(word in path for word in _WORDS):
        return True
    return any(part.split(";")[0].strip() == _SEGMENT for part in path.split("/"))


def _path(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or b""
    return "/".join((scope.get("root_path") or "", scope["path"], raw.decode("latin-1")))
