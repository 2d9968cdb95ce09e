"""Real Redis and Valkey servers on Unix sockets, that keep nothing on disk."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest

START_TIMEOUT_S = 10

SERVERS = {"redis": "redis-server", "valkey": "valkey-server"}
"""Programs by the scheme of their addresses."""


class RedisServer:
    """A context manager: the server runs inside it, and can be killed and started again.

    Args:
        scheme: `redis` or `valkey`.
        binary: Program to run.

    Attributes:
        url: Its address, the same after every start.
    """

    def __init__(self, scheme: str, binary: str) -> None:
        # Not pytest's folder: a socket's path has at most 107 characters.
        self._folder = tempfile.TemporaryDirectory(prefix="tame-redis-")
        self._socket = Path(self._folder.name) / "s"
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"{scheme}+unix://{self._socket}"

    def start(self) -> None:
        """Start it, empty, and wait until it listens."""
        self._socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [self._binary, *self._options()],
            stdout=subprocess.DEVNULL,
        )
        end = time.monotonic() + START_TIMEOUT_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self._binary} did not start")
            time.sleep(0.005)

    def _listens(self) -> bool:
        """Tell whether it takes connections: its socket is there a moment before it does."""
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self._socket)) == 0

    def _options(self) -> tuple[str, ...]:
        address = ("--port", "0", "--unixsocket", str(self._socket))
        return (*address, "--save", "", "--appendonly", "no", "--dir", self._folder.name)

    def kill(self) -> None:
        """Kill it; what it knew is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it hang: connections stay open, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        self._folder.cleanup()


@pytest.fixture(params=sorted(SERVERS))
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """Give a real server; skipped where its program is not installed."""
    binary = shutil.which(SERVERS[request.param])
    if binary is None:
        pytest.skip(f"{SERVERS[request.param]} is not on the path; install it to test it too")
    with RedisServer(request.param, binary) as server:
        yield server
