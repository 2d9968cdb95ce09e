"""A real S3-compatible server, moto's, behind a door that can be shut with 503."""

import re
import shutil
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import pytest

BUCKET = "adapters"

_BODY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_REFUSAL = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


class S3Server:
    """Runs the server, and passes connections on to it.

    Attributes:
        address: Where to ask it.
        shut: Answer every request with 503 from now on; open connections are broken.
    """

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", "0"], stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            found = re.search(r"Running on http://127\.0\.0\.1:(\d+)", line)
            if found:
                self._port = int(found[1])
                break
        else:
            raise RuntimeError(f"{program} did not start")
        # Nobody reads what it says of each request; a full pipe would stop it.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()
        self._door = socket.create_server(("127.0.0.1", 0))
        self._passing: list[socket.socket] = []
        self._shut = False
        self.address = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._open_door, daemon=True).start()

    @property
    def shut(self) -> bool:
        """Whether every request is answered with 503."""
        return self._shut

    @shut.setter
    def shut(self, value: bool) -> None:
        self._shut = value
        while value and self._passing:
            with suppress(OSError):
                self._passing.pop().shutdown(socket.SHUT_RDWR)

    def empty(self) -> None:
        """Forget all objects, and make the bucket anew."""
        self.shut = False
        for path, method in (("moto-api/reset", "POST"), (BUCKET, "PUT")):
            request = urllib.request.Request(f"{self.address}/{path}", method=method)  # noqa: S310
            urllib.request.urlopen(request).close()  # noqa: S310 - an address of our own

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._door.close()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _open_door(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._door.accept()
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with caller, suppress(OSError):
            if self._shut:
                caller.recv(2**16)
                caller.sendall(_REFUSAL)
                return
            with socket.create_connection(("127.0.0.1", self._port)) as server:
                self._passing += (caller, server)
                back = threading.Thread(target=_pass_on, args=(server, caller), daemon=True)
                back.start()
                _pass_on(caller, server)
                back.join()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(2**16):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[S3Server]:
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'tame-router[s3]'")
    program = shutil.which("moto_server")
    if program is None:
        pytest.skip("moto_server is not on the path: pip install 'moto[server]'")
    server = S3Server(program)
    yield server
    server.stop()


@pytest.fixture
def s3_server(_s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """Give the server with an empty bucket, and the environment in which it is found."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", _s3_server.address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    _s3_server.empty()
    yield _s3_server
    _s3_server.shut = False
