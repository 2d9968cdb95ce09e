"""All workers of one configuration: started together, replaced one by one, ended together."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tame_router.telemetry import log
from tame_router.telemetry.metrics_pool import keep_counted
from tame_router.workers.interruption import unless
from tame_router.workers.patience import Patience
from tame_router.workers.worker import Worker, WorkerFailedError


class Crew:
    """Workers with the same orders.

    Args:
        command: Starts one.
        count: How many, ≥ 1.
        pool: Folder of their metrics.
        grace_s: Time that answers under way get when it ends.
    """

    def __init__(self, command: Sequence[str], count: int, pool: Path, grace_s: float) -> None:
        self._command = command
        self._count = count
        self._pool = pool
        self._grace_s = grace_s
        self._ending = asyncio.Event()
        self._workers: list[Worker] = []

    @property
    def pids(self) -> list[int]:
        """Numbers of the workers' processes, the last one where a place is empty."""
        return [worker.pid for worker in self._workers]

    async def start(self) -> None:
        """Start all, and wait until they take calls; none is left when one does not.

        Raises:
            WorkerFailedError: When one does not.
        """
        failed: list[WorkerFailedError] = []

        async def join() -> None:
            try:
                self._workers.append(await Worker.start(self._command))
            except WorkerFailedError as error:
                failed.append(error)

        try:
            # The first makes what is missing: the trained router, keys, the database.
            await join()
            async with asyncio.TaskGroup() as group:
                for _ in range(0 if failed else self._count - 1):
                    group.create_task(join())
        except BaseException:
            await self._leave()
            raise
        if failed:
            await self._leave()
            raise failed[0]
        for worker in self._workers:
            log.event(logging.INFO, "worker.started", pid=worker.pid)

    async def keep(self) -> None:
        """See to it that there are as many as there should be, until `end`."""
        async with asyncio.TaskGroup() as group:
            for place in range(self._count):
                group.create_task(self._keep(place))

    async def end(self) -> None:
        """Drain all; those that do not end within the grace are killed."""
        self._ending.set()
        await self._leave()

    async def _keep(self, place: int) -> None:
        loop = asyncio.get_running_loop()
        patience, begun = Patience(), loop.time()
        worker: Worker | None = self._workers[place]
        while True:
            if worker is not None:
                code = await worker.ended()
                await self._keep_counted(worker)
                if self._ending.is_set():
                    return
                log.event(logging.ERROR, "worker.ended", pid=worker.pid, exit_code=code)
            patience = patience.ended(loop.time() - begun)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience.wait_s):
                    await self._ending.wait()
                    return
            begun = loop.time()
            worker = await unless(self._ending, self._started())
            if worker is not None:
                self._workers[place] = worker
                if self._ending.is_set():  # `end` has not seen it
                    await worker.leave(self._grace_s)
                    return
                log.event(logging.INFO, "worker.started", pid=worker.pid)

    async def _started(self) -> Worker | None:
        """Start one worker more; None: it does not come to take calls."""
        try:
            return await Worker.start(self._command)
        except WorkerFailedError as error:
            log.event(logging.ERROR, "worker.failed", because=str(error))
            return None

    async def _keep_counted(self, worker: Worker) -> None:
        """Keep what a worker has counted; it is no reason to end if that cannot be kept."""
        try:
            await asyncio.to_thread(keep_counted, self._pool, worker.pid)
        except (OSError, ValueError) as error:
            log.event(logging.WARNING, "worker.metrics_lost", pid=worker.pid, because=str(error))

    async def _leave(self) -> None:
        async with asyncio.TaskGroup() as group:
            for worker in self._workers:
                group.create_task(worker.leave(self._grace_s))


def command(config: Path | None, orders: str) -> list[str]:
    """Give the command that starts a worker with this interpreter."""
    file = ["--config", str(config)] if config else []
    return [sys.executable, "-m", "tame_router", "serve", *file, "--worker", orders]
