"""Who calls over HTTP, and what it takes: keys, scopes, certificates, metrics."""

import ssl

import anyio
import pytest
import trustme

from tame_router.answering.event import Delta, Event
from tame_router.chat import FinishReason
from tame_router.errors import UnauthenticatedError
from tame_router.identity.authenticator import NOT_KNOWN
from tame_router.identity.credentials import Credentials
from tame_router.identity.principal import ANYONE, Method, Principal
from tests.http_wire import connect, exchange, get, post, read_response
from tests.scripted_desk import BEGIN, REVISION, ScriptedDesk, ending, serving_http

pytestmark = pytest.mark.anyio

WORD = Delta(expert="legal", revision=REVISION, text="word")
ANSWER: tuple[Event, ...] = (*BEGIN, WORD, *ending(FinishReason.STOP))


class Noting:
    """Lets those in who bring a key, without scopes, and notes what they brought."""

    def __init__(self) -> None:
        self.seen: list[Credentials] = []

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Note it."""
        self.seen.append(credentials)
        if not credentials.authorization:
            raise UnauthenticatedError(NOT_KNOWN)
        return Principal(tenant="a", subject="s", method=Method.NONE, scopes=frozenset())

    async def close(self) -> None:
        """Hold nothing."""


@pytest.mark.parametrize(
    "request_bytes", [get("/v1/models"), get("/v1/models/legal"), get("/metrics"), post()]
)
async def test_identity_and_scope_are_asked_for(request_bytes: bytes) -> None:
    """Nobody is 401 with a challenge; somebody without the scope is 403."""
    noting = Noting()
    keyed = request_bytes.replace(
        b"host: x\r\n",
        b"host: x\r\nAuthorization: Bearer a\r\nauthorization: b\r\nX-API-Key: c\r\n",
    )
    async with serving_http(
        ScriptedDesk(*ANSWER), render=lambda accept: (b"", "text/plain"), authenticator=noting
    ) as address:
        status, headers, body = await exchange(address, request_bytes)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert body["error"]["type"] == "authentication_error"
        status, _, body = await exchange(address, keyed)
        assert (status, body["error"]["type"]) == (403, "permission_error")
        assert (await exchange(address, get("/health")))[0] == 200
    assert noting.seen[1] == Credentials(authorization=("Bearer a", "b"), api_key=("c",))


@pytest.mark.parametrize("public", [False, True])
async def test_metrics(public: bool) -> None:
    """They are rendered for the accept header, to the scope or, where set so, to anyone."""
    asked: list[str] = []

    def render(accept: str) -> tuple[bytes, str]:
        asked.append(accept)
        return b"metric 1\n", "text/plain; version=0.0.4"

    authenticator = Noting() if public else None
    async with (
        serving_http(
            ScriptedDesk(), render=render, public=public, authenticator=authenticator
        ) as address,
        await connect(address) as stream,
    ):
        await stream.send(get("/metrics", "accept: text/plain"))
        status, headers, body = await read_response(stream)
    assert (status, body, asked) == (200, b"metric 1\n", ["text/plain"])
    assert headers["content-type"] == "text/plain; version=0.0.4"


async def test_a_client_certificate_reaches_the_reception() -> None:
    """With TLS the verified certificate is part of the credentials, as DER."""
    ca = trustme.CA()
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(server_side)
    server_side.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(server_side)
    client_side = ssl.create_default_context()
    ca.configure_trust(client_side)
    own = ca.issue_cert("client@example.com")
    own.configure_cert(client_side)
    noting = Noting()
    async with serving_http(
        ScriptedDesk(), authenticator=noting, ssl_context=server_side
    ) as address:
        port = int(address.rpartition(":")[2])
        async with await anyio.connect_tcp(
            "localhost", port, ssl_context=client_side, tls_standard_compatible=False
        ) as stream:
            await stream.send(get("/v1/models"))
            assert b" 401 " in await stream.receive()
    expected = ssl.PEM_cert_to_DER_cert(own.cert_chain_pems[0].bytes().decode())
    assert noting.seen[0].certificate == expected
    assert ANYONE.tenant not in repr(noting.seen[0])
