"""The requests to one server, as they go out: a line, the headers that all have, and a body."""

import base64
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, quote, unquote

from tame_router.errors import ConfigError

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class HttpRequests:
    """Writes requests.

    Args:
        url: Where relative paths are appended; without its `/v1` it is the server's root.
        api_key: Sent as bearer token; empty: none.

    Raises:
        ConfigError: When the key cannot stand in a header.
    """

    def __init__(self, url: SplitResult, api_key: str) -> None:
        self._base = quote(url.path, safe="/%:@!$&'()*+,;=~")
        self._root = self._base.removesuffix("/v1")
        self._head = _head(url, api_key)

    def get(self, path: str) -> bytes:
        """Write a GET; a path that begins with `/` is taken from the server's root."""
        return self._line("GET", path) + self._head + b"\r\n"

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Write a POST of JSON; paths as in `get`.

        Raises:
            ValueError: When a header holds a line break, or what Latin-1 has not.
        """
        more = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if more.count("\n") != len(headers) or more.count("\r") != len(headers):
            raise ValueError("a header of a request holds a line break; expected none")
        length = f"{more}Content-Length: {len(body)}\r\n\r\n".encode("latin-1")
        return b"".join((self._line("POST", path), self._head, length, body))

    def _line(self, method: str, path: str) -> bytes:
        target = self._root + path if path.startswith("/") else f"{self._base}/{path}"
        return f"{method} {target} HTTP/1.1\r\n".encode("ascii")


def _head(url: SplitResult, api_key: str) -> bytes:
    """Write the headers that all requests have."""
    host = url.netloc.rpartition("@")[2]
    headers = {
        "Host": host if host.isascii() else host.encode("idna").decode("ascii"),
        "Accept": "*/*",
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",  # a compressing proxy would hold tokens back
    }
    if api_key:
        if _CONTROL.search(api_key) or not api_key.isascii():
            raise ConfigError(
                "the backend's api_key holds a line break, or what is no ASCII; expected a key on"
                " one line: look for more than the key in api_key, or in api_key_file"
            )
        headers["Authorization"] = f"Bearer {api_key}"
    elif url.username:  # before a proxy that asks for a password
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")
