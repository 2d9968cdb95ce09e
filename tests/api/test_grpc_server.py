"""The port: where it listens, and what it says when it cannot."""

import pytest

from tame_router import app
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tame_router.errors import ConfigError
from tame_router.host_port import host_port
from tests.router_fixture import changed

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1:5"),
        ("router.example", "router.example:5"),
        ("::1", "[::1]:5"),
        ("[::1]", "[::1]:5"),
    ],
)
def test_addresses_are_written_so_that_they_can_be_read(host: str, address: str) -> None:
    """An IPv6 address stands in brackets before its port."""
    assert host_port(host, 5) == address


@pytest.mark.parametrize("host", ["127.0.0.1", "203.0.113.1", "nowhere.invalid"])
async def test_an_address_that_cannot_be_had_is_named(
    settings: Settings, address: str, host: str
) -> None:
    """A port in use, and an address that is not this machine's, stop the start with their keys."""
    port = int(address.rsplit(":", 1)[1])
    taken = changed(
        settings,
        server={"host": host, "port": port, "insecure": False},
        tls={"terminated_elsewhere": True},
    )
    with pytest.raises(ConfigError, match=r"server\.host and server\.port") as caught:
        async with app.running(taken):
            pass
    assert f"{host}:{port}" in caught.value.message
    assert "TAME_SERVER__PORT" in caught.value.message


async def test_one_connection_may_open_many_streams(settings: Settings) -> None:
    """Beyond `max_streams_per_connection` calls wait their turn, and all are answered."""
    few = changed(settings, server={"max_streams_per_connection": 2})
    async with app.running(few) as address, AsyncClient(address, attempts=1) as client:
        assert {(await client.route(f"契約違約金 {n}")).expert for n in range(6)}
