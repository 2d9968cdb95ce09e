"""Replicas by a name: every address that DNS gives for it is one."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from typing import Final, Protocol
from urllib.parse import urlsplit

from tame_router.backends.backend import RETRY_AFTER_S
from tame_router.errors import BackendUnavailableError

RESOLVE_TIMEOUT_S: Final = 5.0
"""Longest wait for DNS."""


class Resolver(Protocol):
    """Looks names up."""

    async def resolve(self, host: str) -> Sequence[str]:
        """Give the IP addresses of a host, of either family.

        Raises:
            OSError: When there is none, or nobody knows.
        """


class SystemResolver:
    """Asks as every program here does: hosts file, then DNS."""

    async def resolve(self, host: str) -> Sequence[str]:
        """Give the IP addresses of a host; the look-up runs in a thread of the loop's.

        Raises:
            OSError: When there is none, or nobody knows.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return [str(address[0]) for *_, address in found]


class DnsSource:
    """Looks a name up, each time anew.

    An address counts as long as it was in this answer or in the one before: an answer that was
    cut, or shows only some of them in turn, takes nobody out at once.

    Args:
        url: Address of the OpenAI API, with the name as its host: `http://engines:8100/v1`.
        resolver: Looks it up.
    """

    def __init__(self, url: str, resolver: Resolver | None = None) -> None:
        parts = urlsplit(url.rstrip("/"))
        self._host = parts.hostname or ""
        self._port = "" if parts.port is None else f":{parts.port}"
        self._scheme, self._path = parts.scheme, parts.path
        self._resolver = resolver or SystemResolver()
        self._before: frozenset[str] = frozenset()

    async def addresses(self) -> Sequence[str]:
        """Give the address of the API at each of the name's IP addresses, in order.

        Raises:
            BackendUnavailableError: When DNS gives none, or does not answer in time.
        """
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S):
                found = frozenset(await self._resolver.resolve(self._host))
        except (OSError, UnicodeError) as error:  # TimeoutError is one; so is a name too long
            raise self._unknown(str(error) or "it did not answer in time") from error
        if not found:
            raise self._unknown("it gave no address")
        both, self._before = found | self._before, found
        return [self._url(one) for one in sorted(both, key=_in_order)]

    def _url(self, address: str) -> str:
        host = f"[{address}]" if ":" in address else address
        return f"{self._scheme}://{host}{self._port}{self._path}"

    def _unknown(self, why: str) -> BackendUnavailableError:
        return BackendUnavailableError(
            f"the replicas behind {self._host!r} are not known ({why}); the replicas there were"
            " are kept: look at DNS",
            retry_after_s=RETRY_AFTER_S,
        )


def _in_order(address: str) -> tuple[int, int]:
    """Sort by number, IPv4 first."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return parsed.version, int(parsed)
