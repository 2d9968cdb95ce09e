"""The connection to Redis or Valkey. The only module that knows the libraries."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tame_router.errors import ConfigError
from tame_router.quota.redis_script import ADJUST, RESERVE

TIMEOUT_S = 0.25
"""Longest wait for an answer, or for a connection, before Redis counts as gone."""

GRACE_S = 0.02
"""Time after that in which an answer is read that had come, where the event loop was held up."""

MARK = "tame:quota:mark"
"""Key that is there as long as Redis has not lost its data."""

_LOST = [-1]
"""What scripts give where the mark is another."""

Found = TypeVar("Found")

_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "redis+unix": "redis+unix",
    # The protocol is one; the client library for one speaks to the other.
    "valkey": "redis",
    "valkeys": "rediss",
    "valkey+unix": "redis+unix",
}


class LinkDownError(Exception):
    """Redis does not answer, or not as it should."""


class LostError(LinkDownError):
    """Redis answers, and has lost its data since it was marked."""


@dataclass(frozen=True, slots=True)
class Command:
    """One call of a script."""

    script: str
    keys: tuple[str, ...]
    args: tuple[str | int, ...]


class RedisLink:
    """Runs scripts in Redis or Valkey; connects when it is first asked.

    Args:
        url: `redis://…` or `valkey://…`; `rediss` and `valkeys` with TLS, `…+unix` by socket.
        timeout_s: Longest wait for an answer, in seconds.

    Raises:
        ConfigError: When the address cannot be used, or the library is not installed.
    """

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        scheme, _, rest = url.partition("://")
        if scheme not in _SCHEMES or not rest:
            raise ConfigError(
                "quota.redis_url is not an address of Redis or Valkey;"
                " expected redis://host:6379 or valkey://host:6379"
            )
        try:
            import limits.errors
            import redis.asyncio.retry
            import redis.backoff
            import redis.exceptions
            from limits.storage import storage_from_string
        except ImportError:
            raise ConfigError(
                "quota.redis_url needs a library that is not installed;"
                " install it: pip install 'tame-router[redis]'"
            ) from None
        options: dict[str, Any] = {
            "implementation": "redispy",
            # `run` and `mark` keep time themselves: the library's clock goes on while the event
            # loop is held up, and would take an answer that has come for none.
            "socket_timeout": None,
            # Whoever waits for a count is not kept waiting for another try.
            "retry": redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0),
        }
        try:
            storage: Any = storage_from_string(f"async+{_SCHEMES[scheme]}://{rest}", **options)
        except (limits.errors.ConfigurationError, ValueError) as error:
            raise ConfigError(
                f"quota.redis_url cannot be used ({type(error).__name__}); check it"
            ) from None
        self._timeout_s = timeout_s
        self._client = storage.bridge.get_connection()
        self._errors = (redis.exceptions.RedisError, OSError)
        self._no_script = redis.exceptions.NoScriptError
        self._digests: dict[str, str] = {}

    async def run(self, commands: Sequence[Command], mark: str) -> list[list[int]]:
        """Run scripts, in one round trip.

        Args:
            commands: The scripts.
            mark: What Redis must bear: none runs where it does not.

        Raises:
            LostError: When Redis bears another mark, or none; some may have run before.
            LinkDownError: When any of them has no proper answer; some may have run.
        """
        answers = await self._in_time(self._run(commands, mark))
        for answer in answers:
            if isinstance(answer, Exception):
                raise LinkDownError(str(answer)) from answer
        if any(answer == _LOST for answer in answers):
            raise LostError("it has lost its data")
        return answers

    async def mark(self, name: str) -> str:
        """Give the mark that Redis bears; where it bears none, it bears this one from now on.

        Raises:
            LinkDownError: When Redis does not answer.
        """
        found = await self._in_time(self._client.set(MARK, name, nx=True, get=True))
        return found.decode() if found else ""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _in_time(self, work: Coroutine[Any, Any, Found]) -> Found:
        """Wait for an answer, and no longer than it may take.

        Raises:
            LinkDownError: When there is none.
        """
        task = asyncio.get_running_loop().create_task(work)
        try:
            for patience_s in (self._timeout_s, GRACE_S):
                done, _ = await asyncio.wait({task}, timeout=patience_s)
                if done:
                    break
        finally:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            raise LinkDownError(f"no answer in {self._timeout_s * 1e3:.0f} ms") from None
        except self._errors as error:
            raise LinkDownError(str(error)) from error

    async def _run(self, commands: Sequence[Command], mark: str) -> list[Any]:
        if not self._digests:
            await self._load()
        answers = await self._send(commands, mark)
        if any(isinstance(answer, self._no_script) for answer in answers):
            await self._load()
            answers = await self._repeat(commands, answers, mark)
        return answers

    async def _load(self) -> None:
        for script in (RESERVE, ADJUST):
            self._digests[script] = await self._client.script_load(script)

    async def _send(self, commands: Sequence[Command], mark: str) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            digest = self._digests[command.script]
            keys, args = (*command.keys, MARK), (*command.args, mark)
            pipeline.evalsha(digest, len(keys), *keys, *args)
        found: list[Any] = await pipeline.execute(raise_on_error=False)
        return found

    async def _repeat(
        self, commands: Sequence[Command], answers: list[Any], mark: str
    ) -> list[Any]:
        """Run again what Redis had no script for: it has been restarted, or flushed."""
        missing = [i for i, found in enumerate(answers) if isinstance(found, self._no_script)]
        again = await self._send([commands[i] for i in missing], mark)
        for i, found in zip(missing, again, strict=True):
            answers[i] = found
        return answers
