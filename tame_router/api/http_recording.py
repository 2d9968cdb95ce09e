"""What one HTTP request leaves behind: begun before its route is known, ended after all of it."""

import asyncio
from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from tame_router.telemetry.names import OTHER
from tame_router.telemetry.recorder import Recorder
from tame_router.telemetry.trace import PARENT_KEY, STATE_KEY, read_carrier

_TRACE_KEYS = frozenset({PARENT_KEY.encode(), STATE_KEY.encode()})


class HttpRecording:
    """Wraps the HTTP edge, which finds the recording with `recording.current()`.

    Args:
        edge: Serves requests.
        recorder: Records calls.
        paths: Paths that are served, `/v1/models/{model}` among them; all others are `other`.
    """

    def __init__(self, edge: ASGIApp, recorder: Recorder, paths: Collection[str]) -> None:
        self._edge = edge
        self._recorder = recorder
        self._plain = frozenset(path for path in paths if "{" not in path)
        self._open = {path[: path.index("{")]: path for path in paths if "{" in path}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request and record it."""
        if scope["type"] != "http":
            await self._edge(scope, receive, send)
            return
        headers = [
            (key.decode(), value.decode("latin-1"))
            for key, value in scope["headers"]
            if key in _TRACE_KEYS
        ]
        recording = self._recorder.begin("http", self._name(scope["path"]), read_carrier(headers))
        try:
            await self._edge(scope, receive, send)
        except asyncio.CancelledError:
            recording.cancelled()
            raise
        finally:
            self._recorder.finish(recording)

    def _name(self, path: str) -> str:
        if path in self._plain:
            return path
        return next((name for start, name in self._open.items() if path.startswith(start)), OTHER)
