"""The process that sees to the workers: starts them, replaces them as a whole, ends them."""

import asyncio
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tame_router.config import Settings
from tame_router.config_file import config_path, load_settings
from tame_router.errors import ConfigError
from tame_router.host_port import host_port
from tame_router.telemetry import log
from tame_router.workers.changes import INTERVAL_S, Signature, signature
from tame_router.workers.crew import Crew, command
from tame_router.workers.interruption import unless
from tame_router.workers.orders import Given, Orders
from tame_router.workers.ports import Ports, places
from tame_router.workers.worker import WorkerFailedError

_POOL: Final = "tame-workers-"
"""How the names of folders of metrics begin; the process number follows."""

STOPS: Final = (signal.SIGTERM, signal.SIGINT)
"""What ends the service in good order."""


class Supervisor:
    """Sees to the workers of a service.

    Args:
        settings: As read from both of the following.
        config: The configuration file; None: where settings are read from otherwise.
        given: What the command line gave.
        announce: Called with the addresses of gRPC and HTTP once calls are taken; the latter is
            empty where HTTP is switched off.

    Raises:
        ConfigError: When a port is another's.
    """

    def __init__(
        self,
        settings: Settings,
        config: Path | None,
        given: Given,
        announce: Callable[[str, str], None],
    ) -> None:
        self._config = config
        self._given = given
        self._announce = announce
        self._settings = settings
        self._ports = Ports(places(settings), shared=settings.server.reuse_port)
        _sweep()
        self._pool = Path(tempfile.mkdtemp(prefix=f"{_POOL}{os.getpid()}-"))
        self._stopping = asyncio.Event()
        self._due = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP replaces all workers.

        Raises:
            WorkerFailedError: When the first workers cannot start.
        """
        try:
            with self._signals():
                await self._serve()
        finally:
            self._ports.close()
            shutil.rmtree(self._pool, ignore_errors=True)

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            crew = await self._hire(self._settings)
            if crew is None:
                return
            group.create_task(crew.keep())
            self._announce(self._address("server.port"), self._address("http.port"))
            watching = group.create_task(self._watch())
            while await self._asked():
                if (found := await self._replacement()) is not None:
                    # In its own time: those who are answered by the old ones have their grace.
                    group.create_task(crew.end())
                    group.create_task(found.keep())
                    crew = found
            watching.cancel()
            await crew.end()

    async def _asked(self) -> bool:
        """Wait until there is something to do; False: to end."""
        async with asyncio.TaskGroup() as group:
            either = [group.create_task(each.wait()) for each in (self._stopping, self._due)]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            for task in either:
                task.cancel()
        self._due.clear()
        return not self._stopping.is_set()

    async def _replacement(self) -> Crew | None:
        """Start workers with what the configuration says now; None: it goes on as it was."""
        log.event(logging.INFO, "workers.reloading")
        try:
            settings = await asyncio.to_thread(load_settings, self._config, self._given)
            self._require_same_ports(settings)
            crew = await self._hire(settings)
        except (ConfigError, WorkerFailedError) as error:
            log.event(logging.ERROR, "workers.reload_refused", because=str(error))
            return None
        if crew is not None:
            self._settings = settings
            log.event(logging.INFO, "workers.reloaded")
        return crew

    def _require_same_ports(self, settings: Settings) -> None:
        if places(settings) != self._ports.wanted:
            raise ConfigError(
                "the host or the port of server, http or tls has changed, which takes a restart;"
                " set them back, or stop the router and start it"
            )

    async def _hire(self, settings: Settings) -> Crew | None:
        """Start workers; None: the service ends meanwhile, and they are gone again."""
        orders = Orders.of(settings, self._given, self._ports.numbers, self._pool)
        start = command(self._config, orders.text())
        crew = Crew(start, orders.count, self._pool, settings.server.grace_s)
        found = await unless(self._stopping, _started(crew))
        if isinstance(found, WorkerFailedError):
            raise found
        return found

    async def _watch(self) -> None:
        """Ask for a reload where files have changed, and then stood still for a moment."""
        seen = known = await self._signature()
        while True:
            await asyncio.sleep(INTERVAL_S)
            now = await self._signature()
            if now == seen != known:
                known = now
                if self._settings.server.reload_on_change:
                    self._due.set()
            seen = now

    async def _signature(self) -> Signature:
        if not self._settings.server.reload_on_change:
            return frozenset()
        file = config_path(self._config)
        paths = (self._settings.experts_dir, *([file] if file else []))
        return await asyncio.to_thread(signature, paths)

    def _address(self, setting: str) -> str:
        hosts = {place.setting: place.host for place in self._ports.wanted}
        port = self._ports.numbers.get(setting)
        return "" if port is None else host_port(hosts[setting], port)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in STOPS:
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._due.set)
        try:
            yield
        finally:
            for number in (*STOPS, signal.SIGHUP):
                loop.remove_signal_handler(number)


def supervise(
    settings: Settings, config: Path | None, given: Given, announce: Callable[[str, str], None]
) -> int:
    """Serve by workers until SIGTERM or SIGINT; arguments and errors as of `Supervisor`.

    Returns:
        The exit code: 0, or that of a first worker which could not start and has said why.
    """
    log.configure(settings.log)
    supervisor = Supervisor(settings, config, given, announce)
    try:
        asyncio.run(supervisor.run())
    except* WorkerFailedError as failures:
        found = failures.exceptions[0]
        code = found.exit_code if isinstance(found, WorkerFailedError) else 1
    else:
        code = 0
    return code


def _sweep() -> None:
    """Remove the folders of those that were killed; what is another user's stays."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_POOL}*"):
        pid = folder.name.removeprefix(_POOL).split("-")[0]
        if not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)


async def _started(crew: Crew) -> Crew | WorkerFailedError:
    """Start workers and give them, or what kept them from it: a task group would wrap it."""
    try:
        await crew.start()
    except WorkerFailedError as error:
        return error
    return crew
