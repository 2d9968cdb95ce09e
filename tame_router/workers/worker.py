"""One worker: a router in a process of its own, which ends when this one does."""

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from typing import Final, cast

READY: Final = b"serving on "
"""How the line begins by which a router says that it takes calls."""

CUT_S: Final = 5.0
"""Time beyond its grace that a worker gets to end."""

START_S: Final = 900.0
"""Longest start: the first one may have to train the router."""


class WorkerFailedError(Exception):
    """A worker did not come to take calls; where it ended, it has said why.

    Attributes:
        exit_code: Of its process; 1 where there is none, or it was killed.
    """

    def __init__(self, because: str, exit_code: int = 1) -> None:
        super().__init__(because)
        self.exit_code = exit_code


class Worker:
    """A process that is a router.

    Args:
        process: With a pipe to its input, whose end is its order to leave, and one from its output.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: Sequence[str], within_s: float = START_S) -> "Worker":
        """Start one, and wait until it takes calls.

        Raises:
            WorkerFailedError: When there can be no process, or it does not come to that in time.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                # Ctrl-C on a terminal is for the one that sees to all of them.
                start_new_session=True,
            )
        except OSError as error:
            raise WorkerFailedError(f"no worker can be started: {error}") from error
        worker = cls(process)
        try:
            async with asyncio.timeout(within_s):
                await worker._ready()
        except (TimeoutError, ValueError) as error:  # ValueError: a line without an end
            worker.kill()
            raise WorkerFailedError(
                f"a worker did not say within {within_s:g} s that it takes calls"
            ) from error
        except BaseException:
            # Cancelled, too: nobody else knows of it yet.
            worker.kill()
            raise
        return worker

    @property
    def pid(self) -> int:
        """Number of its process."""
        return self._process.pid

    async def ended(self) -> int:
        """Wait until it has ended, and give its exit code; negative: the signal that did it."""
        return await self._process.wait()

    def drain(self) -> None:
        """Tell it to take no more calls, and to end when its answers have, or their grace has."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    async def leave(self, grace_s: float) -> None:
        """Drain it, and wait until it has ended; one that does not end in time is killed."""
        self.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s + CUT_S):
                await self.ended()
        self.kill()
        await self.ended()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _ready(self) -> None:
        lines = cast(asyncio.StreamReader, self._process.stdout)  # which was asked for
        async for line in lines:
            if line.startswith(READY):
                return
        code = await self.ended()
        raise WorkerFailedError(f"a worker ended with exit code {code} before it took calls", code)
