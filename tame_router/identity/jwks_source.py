"""Where an issuer's public keys come from: an https address, a file, or OpenID discovery.

It blocks, and runs in a thread of its own (`key_set`).
"""

import json
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

MAX_BYTES = 2**20
"""Largest document that is read; issuers' key sets have a few KiB."""

TIMEOUT_S = 5.0
"""Longest silence of the issuer."""

WHOLE_TIMEOUT_S = 15.0
"""Longest time for a document, however steadily it drips."""

_DISCOVERY = "/.well-known/openid-configuration"
"""Source: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig"""


class SourceError(Exception):
    """The keys cannot be had now; the message says why."""


class JwksSource:
    """Fetches an issuer's keys.

    Args:
        issuer: Its `iss`, an https address where it is to be discovered.
        url: Address of its keys, https: or file:; empty: by OpenID discovery.
    """

    def __init__(self, issuer: str, url: str) -> None:
        self._issuer = issuer
        self._url = url
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
            _SameHostRedirect(),
        ):
            self._opener.add_handler(handler)

    def fetch(self) -> dict[str, Any]:
        """Give the JWKS document.

        Raises:
            SourceError: When it cannot be had.
        """
        return self._document(self._url or self._discovered())

    def _discovered(self) -> str:
        found = self._document(self._issuer.rstrip("/") + _DISCOVERY)
        # Another issuer's document would vouch for tokens of its own.
        if found.get("issuer") != self._issuer:
            raise SourceError(f"discovery names another issuer: {found.get('issuer')!r:.200}")
        address = found.get("jwks_uri")
        if not isinstance(address, str) or urlsplit(address).scheme != "https":
            raise SourceError(f"discovery names no https address of keys: {address!r:.200}")
        return address

    def _document(self, url: str) -> dict[str, Any]:
        try:
            document = json.loads(self._bytes(url))
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            raise SourceError(f"{url}: {error}") from error
        if not isinstance(document, dict):
            raise SourceError(f"{url}: expected a JSON object")
        return document

    def _bytes(self, url: str) -> bytes:
        parts = urlsplit(url)
        if parts.scheme == "file":
            with Path(unquote(parts.path)).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        elif parts.scheme == "https":
            data = self._download(url)
        else:
            raise SourceError(f"{url}: expected an https: or file: address")
        if len(data) > MAX_BYTES:
            raise SourceError(f"{url}: has more than {MAX_BYTES} bytes")
        return data

    def _download(self, url: str) -> bytes:
        until = time.monotonic() + WHOLE_TIMEOUT_S
        data = bytearray()
        response = self._opener.open(url, timeout=TIMEOUT_S)
        if response is None:
            raise SourceError(f"{url}: cannot be opened")
        with response:
            while len(data) <= MAX_BYTES and (piece := response.read1(2**16)):
                data += piece
                if time.monotonic() > until:
                    raise SourceError(f"{url}: took more than {WHOLE_TIMEOUT_S:g} s")
        return bytes(data)


class _SameHostRedirect(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to the same host over https, and no other."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Give the next request.

        Raises:
            SourceError: When it would go elsewhere.
        """
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            raise SourceError(f"{req.full_url}: redirects to another host: {newurl:.200}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
