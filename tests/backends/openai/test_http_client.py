"""The pool reaches a server, and every error of the network is one of ours."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tame_router.backends.openai.http_client import HttpClient
from tame_router.errors import (
    BackendProtocolError,
    BackendUnavailableError,
    ConfigError,
    StreamBrokenError,
)
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import HangUp

pytestmark = pytest.mark.anyio


@contextmanager
def answering(data: bytes) -> Iterator[str]:
    """Listen on a port, answer one connection with these bytes, and close it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(2**16)
                connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        thread.join(10)


async def test_paths_are_below_the_api_or_the_root(
    client: Callable[..., HttpClient], fake_vllm: FakeVllm
) -> None:
    """A relative path must go below `/v1`, an absolute one to the server's root."""
    for base_url in (fake_vllm.base_url, f"{fake_vllm.base_url}/"):
        http = client(base_url)
        assert b"max_model_len" in await (await http.get("models")).read_all(10_000)
        assert (await (await http.get("/health")).read_all(10)) == b""
    assert [one.path for one in fake_vllm.received] == ["/v1/models", "/health"] * 2


async def test_address_without_version_is_its_own_root(
    client: Callable[..., HttpClient], fake_vllm: FakeVllm
) -> None:
    """An address that does not end in `/v1` must be used as it is."""
    http = client(fake_vllm.root_url)
    await (await http.get("/health")).read_all(10)
    assert fake_vllm.received[0].path == "/health"


async def test_key_is_a_bearer_token(
    client: Callable[..., HttpClient], fake_vllm: FakeVllm
) -> None:
    """The key must go along with every request, and not at all where there is none."""
    for key in ("secret", ""):
        http = client(fake_vllm.base_url, api_key=key)
        await (await http.get("models")).read_all(10_000)
    sent = [one.headers.get("authorization") for one in fake_vllm.received]
    assert sent == ["Bearer secret", None]


async def test_connection_is_used_again(
    client: Callable[..., HttpClient], fake_vllm: FakeVllm
) -> None:
    """Requests one after the other must share a connection."""
    http = client(fake_vllm.base_url)
    for _ in range(3):
        await (await http.get("models")).read_all(10_000)
    assert len({one.connection for one in fake_vllm.received}) == 1


async def test_nobody_listening_is_unavailable(client: Callable[..., HttpClient]) -> None:
    """A refused connection must be an unavailable backend, worth another try."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    http = client(f"http://127.0.0.1:{port}/v1")
    with pytest.raises(BackendUnavailableError, match=r"\(Connection refused\)") as caught:
        await http.get("models")
    assert type(caught.value) is BackendUnavailableError
    assert caught.value.retry_after_s == 1.0


async def test_unknown_host_is_unavailable(client: Callable[..., HttpClient]) -> None:
    """A name that cannot be resolved must be an unavailable backend."""
    http = client("http://no-such-host.invalid/v1")
    with pytest.raises(BackendUnavailableError, match=r"\(its name is not known\)"):
        await http.get("models")


async def test_slow_connect_is_unavailable(client: Callable[..., HttpClient]) -> None:
    """A server that does not take the connection in time must be an unavailable backend."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # Two connections fill the queue that nobody accepts from; the next is left waiting.
        with socket.create_connection(address), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(address)
            http = client(f"http://127.0.0.1:{address[1]}/v1", connect_timeout_s=0.1)
            with pytest.raises(BackendUnavailableError):
                await http.get("models")


async def test_hang_up_before_headers_is_unavailable(
    client: Callable[..., HttpClient], fake_vllm: FakeVllm
) -> None:
    """A connection that ends before any header must be an unavailable backend."""
    fake_vllm.next(HangUp())
    http = client(fake_vllm.base_url)
    with pytest.raises(BackendUnavailableError):
        await http.post("chat/completions", b'{"model":"m","messages":[]}')


async def test_what_is_no_http_is_off_protocol(client: Callable[..., HttpClient]) -> None:
    """A server of another protocol must be told apart from one that is down."""
    with answering(b"SSH-2.0-OpenSSH_9.2\r\n\r\n") as base_url:
        http = client(base_url)
        with pytest.raises(BackendProtocolError, match="HTTP"):
            await http.get("models")


async def test_cut_body_is_broken(client: Callable[..., HttpClient]) -> None:
    """A body shorter than announced must be a broken stream."""
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") as base_url:
        http = client(base_url)
        source = await http.get("models")
        with pytest.raises(StreamBrokenError):
            await source.read_all(100)


async def test_long_body_is_refused(client: Callable[..., HttpClient], fake_vllm: FakeVllm) -> None:
    """A body longer than allowed must be an error, and its connection closed."""
    http = client(fake_vllm.base_url)
    source = await http.get("models")
    with pytest.raises(BackendProtocolError, match="more than 10 bytes"):
        await source.read_all(10)


async def test_headers_and_type_are_told(
    client: Callable[..., HttpClient], fake_vllm: FakeVllm
) -> None:
    """Status, type without parameters, and headers must be readable before the body."""
    http = client(fake_vllm.base_url)
    source = await http.get("/metrics")
    assert (source.status, source.content_type) == (200, "text/plain")
    assert source.header("Content-Length")
    assert source.header("Retry-After") is None
    source.close()


async def test_closed_client_is_not_used(client: Callable[..., HttpClient]) -> None:
    """A request after closing must be a mistake of the program, not of the server."""
    http = client("http://127.0.0.1:9/v1")
    await http.close()
    with pytest.raises(RuntimeError, match="closed"):
        await http.get("models")


async def test_headers_hold_one_line_each(client: Callable[..., HttpClient]) -> None:
    """A line break in a key or a header would be a header of somebody else's making."""
    for key in ("a\r\nX-Evil: 1", "a\nb", "schl\u00fcssel"):
        with pytest.raises(ConfigError, match="api_key"):
            client("http://127.0.0.1:9/v1", api_key=key)
    for value in ("1\r\nX-Evil: 1", "1\n", "\r"):
        with pytest.raises(ValueError, match="line break"):
            await client("http://127.0.0.1:9/v1").post("x", b"", {"X-Request-Id": value})


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("http://[::1/v1", "brackets"),
        ("http://h:abc/v1", "port"),
        ("ftp://h/v1", "begins neither"),
        ("http:///v1", "no host"),
        (f"http://{'a' * 64}.invalid/v1", "its host is no name"),
        ("http://me:secret@h/v1?x", "a query"),
    ],
)
async def test_an_address_that_cannot_be_asked_is_refused(
    client: Callable[..., HttpClient], address: str, fault: str
) -> None:
    """At once, as an error of ours, and without the password that it may hold."""
    with pytest.raises(ConfigError, match=f"base_url cannot be used: .*{fault}") as caught:
        client(address)
    assert "secret" not in caught.value.message
