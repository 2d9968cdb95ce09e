"""How a client connects: TLS, keys, tokens and metadata, and secrets that stay secret."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio.lowlevel
import anyio.to_thread
import pytest

from tame_router.canonical_code import Code
from tame_router.client.async_client import AsyncClient
from tame_router.client.client import Client
from tame_router.client.connection import Connection, Tls, is_local
from tame_router.client.rpc_error import RpcError
from tame_router.errors import ConfigError
from tests.tls_service import Noting, Pki, noting

pytestmark = pytest.mark.anyio

KEY = "tame_0123456789abcdef_secretsecretsecret"
METHODS = ["Route", "Chat", "StreamChat", "ListExperts", "GetExpert", "SubmitFeedback"]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Give certificates."""
    return Pki(tmp_path_factory.mktemp("pki"))


def use_all(target: str, **options: Any) -> None:
    """Call every method once, without an event loop."""
    with Client(target, attempts=1, **options) as client:
        client.route("hello")
        client.chat("hello")
        with client.stream("hello") as events:
            list(events)
        client.experts()
        client.expert("legal")
        client.feedback("answer-1", "legal")


async def use_plainly(target: str, **options: Any) -> None:
    """Call every method once, in a thread."""
    await anyio.to_thread.run_sync(partial(use_all, target, **options))


async def use_asynchronously(target: str, **options: Any) -> None:
    """Call every method once, on the event loop."""
    async with AsyncClient(target, attempts=1, **options) as client:
        await client.route("hello")
        await client.chat("hello")
        async with client.stream("hello") as events:
            async for _ in events:
                pass
        await client.experts()
        await client.expert("legal")
        await client.feedback("answer-1", "legal")


Use = Callable[..., Awaitable[None]]
BOTH = pytest.mark.parametrize("use", [use_plainly, use_asynchronously])


@BOTH
async def test_the_key_goes_with_every_call(use: Use) -> None:
    """Each method of both clients carries the key and the metadata, once."""
    async with noting(noted := Noting()) as address:
        await use(address, api_key=KEY, metadata={"X-Request-Id": "request-0001"})
    assert [method for method, _ in noted.calls] == METHODS
    for _, seen in noted.calls:
        assert seen["authorization"] == [f"Bearer {KEY}"]
        assert seen["x-request-id"] == ["request-0001"]


@BOTH
async def test_without_a_key_nothing_is_shown(use: Use) -> None:
    """An empty key is no key, and no header says otherwise."""
    async with noting(noted := Noting()) as address:
        await use(address, api_key="", token=None, tls=None)
    assert not any("authorization" in seen for _, seen in noted.calls)


@BOTH
async def test_tokens_and_traces_are_asked_for_before_each_call(use: Use) -> None:
    """A token may be renewed, and a trace differs, from call to call."""
    count = iter(range(100))
    async with noting(noted := Noting()) as address:
        await use(
            address,
            token=lambda: f"token-{next(count)}",
            metadata=lambda: {"traceparent": f"00-{next(count):032x}-{1:016x}-01"},
        )
    shown = [seen["authorization"][0] for _, seen in noted.calls]
    assert len(set(shown)) == len({seen["traceparent"][0] for _, seen in noted.calls}) == 6


async def test_a_token_may_be_awaited() -> None:
    """The asynchronous client takes a coroutine function; the other one says that it cannot."""

    async def token() -> str:
        await anyio.lowlevel.checkpoint()
        return "fetched"

    async with noting(noted := Noting()) as address:
        await use_asynchronously(address, token=token)
        with pytest.raises(ConfigError, match="a coroutine function is for AsyncClient only"):
            await use_plainly(address, token=token)
    assert noted.calls[0][1]["authorization"] == ["Bearer fetched"]


@BOTH
async def test_a_router_behind_tls(use: Use, pki: Pki) -> None:
    """The router's certificate is checked against the authorities that are given."""
    noted = Noting()
    async with noting(noted, pki.server_credentials(require_client=False)) as address:
        await use(address, api_key=KEY, tls=Tls(root_certificates=pki.ca))
        await use(address, api_key=KEY, tls=Tls(root_certificates=pki.ca.read_bytes()))
        assert len(noted.calls) == 12
        with pytest.raises(RpcError, match="cannot be reached") as caught:
            await use(address, api_key=KEY, tls=True)
        assert caught.value.code is Code.UNAVAILABLE
        with pytest.raises(RpcError):
            await use(address, api_key=KEY)
    assert len(noted.calls) == 12


@BOTH
async def test_a_certificate_shows_who_calls(use: Use, pki: Pki) -> None:
    """The client's certificate reaches the router; without one the router hangs up."""
    noted = Noting()
    tls = Tls(root_certificates=pki.ca, certificate=pki.cert, key=str(pki.key))
    async with noting(noted, pki.server_credentials(require_client=True)) as address:
        await use(address, tls=tls)
        with pytest.raises(RpcError):
            await use(address, tls=Tls(root_certificates=pki.ca))
    assert set(noted.peers) == {b"his"}


async def test_the_name_in_the_certificate_may_be_another(pki: Pki) -> None:
    """A router reached by an address is checked for the name that is given, and only that."""
    noted = Noting()
    async with noting(noted, pki.server_credentials(require_client=False)) as address:
        await use_asynchronously(
            address, tls=Tls(root_certificates=pki.ca, server_name="router.example")
        )
        with pytest.raises(RpcError):
            await use_asynchronously(
                address, tls=Tls(root_certificates=pki.ca, server_name="other.example")
            )


@pytest.mark.parametrize(
    ("target", "local"),
    [
        ("127.0.0.1:50051", True),
        ("127.9.9.9:50051", True),
        ("localhost:50051", True),
        ("localhost", True),
        ("[::1]:50051", True),
        ("dns:///localhost:50051", True),
        ("ipv4:127.0.0.1:50051", True),
        ("ipv6:[::1]:50051", True),
        ("unix:/run/tame.sock", True),
        ("unix-abstract:tame", True),
        ("10.0.0.1:50051", False),
        ("tame.example:50051", False),
        ("localhost.example:50051", False),
        ("localhost@tame.example:50051", False),
        ("127.0.0.1.example:50051", False),
        ("dns://10.0.0.1/localhost:50051", False),
        ("ipv4:127.0.0.1:1,10.0.0.1:1", False),
        ("0.0.0.0:50051", False),
        ("", False),
    ],
)
def test_only_this_machine_is_local(target: str, *, local: bool) -> None:
    """What is not surely this machine is taken for another."""
    assert is_local(target) is local


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": KEY},
        {"token": lambda: KEY},
        {"metadata": {"Authorization": f"Bearer {KEY}"}},
        {"metadata": {"x-api-key": KEY}},
        {"api_key": KEY, "tls": False},
    ],
    ids=["key", "token", "authorization", "x-api-key", "tls off"],
)
def test_a_secret_is_not_sent_for_others_to_read(options: Any) -> None:
    """Without TLS a key goes to this machine only, unless it is said that the way is safe."""
    with pytest.raises(ConfigError, match="without TLS, for anyone on the way") as caught:
        Client("tame.example:50051", **options)
    assert KEY not in caught.value.message
    with Client("tame.example:50051", **options, allow_plaintext_key=True):
        pass


def test_a_secret_of_a_function_is_not_sent_either() -> None:
    """Metadata that is made for each call is checked for each call."""
    connection = Connection("tame.example:50051", metadata=lambda: {"x-api-key": KEY})
    with pytest.raises(ConfigError, match="without TLS"):
        connection.metadata()
    plain = Connection("tame.example:50051", metadata=lambda: {"traceparent": "00"})
    assert plain.metadata() == (("traceparent", "00"),)


@pytest.mark.parametrize("key", [f"{KEY}\n", "鑰匙", f"{KEY}\x00"], ids=["line", "text", "nul"])
def test_a_key_that_cannot_be_sent_is_not_quoted(key: str) -> None:
    """The message says what to check, and holds nothing of the key; a token's too."""
    with pytest.raises(ConfigError, match="line break at its end") as caught:
        Client("127.0.0.1:1", api_key=key)
    assert KEY not in caught.value.message
    connection = Connection("127.0.0.1:1", token=lambda: key)
    with pytest.raises(ConfigError, match="'authorization' cannot be sent") as caught:
        connection.metadata()
    assert KEY not in caught.value.message


def test_secrets_stay_out_of_what_is_printed(pki: Pki) -> None:
    """Neither connection, client nor TLS options show a key."""
    tls = Tls(certificate=b"cert", key=b"very private")
    connection = Connection("127.0.0.1:50051", api_key=KEY)
    with Client("127.0.0.1:50051", api_key=KEY) as client:
        shown = f"{tls!r} {connection!r} {client!r} {vars(client)!r}"
    assert KEY not in shown
    assert "very private" not in shown
    assert "127.0.0.1:50051" in shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api_key": KEY, "token": lambda: KEY}, "give one of them"),
        ({"tls": Tls(certificate=b"x")}, "go together"),
        ({"tls": Tls(key=b"x")}, "go together"),
        ({"tls": Tls(root_certificates=Path("/nowhere/ca.pem"))}, "root_certificates: /nowhere"),
    ],
    ids=["key and token", "no key", "no certificate", "no file"],
)
def test_options_that_do_not_fit_are_said_so(options: Any, words: str) -> None:
    """A mistake is told when the client is made, not by its first call."""
    with pytest.raises(ConfigError, match=words):
        Client("127.0.0.1:1", **options)


def test_a_misspelt_connection_option_is_named() -> None:
    """A keyword that nobody reads is an error of the program."""
    with pytest.raises(TypeError, match="unknown keyword api_kye"):
        Client("127.0.0.1:1", api_kye=KEY)  # type: ignore[call-arg]


async def test_a_proxy_of_the_environment_sees_no_local_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key for this machine is not carried to a proxy."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with noting(noted := Noting()) as address:
        await use_asynchronously(address, api_key=KEY)
    assert len(noted.calls) == 6
