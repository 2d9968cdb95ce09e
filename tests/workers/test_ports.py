"""The ports of workers: the same for all of them, and nobody else's."""

import socket

import pytest

from tame_router.config import Settings
from tame_router.errors import ConfigError
from tame_router.workers.ports import Ports, places


def settings(**sections: dict[str, object]) -> Settings:
    """Give settings on free ports."""
    free: dict[str, dict[str, object]] = {"server": {"port": 0}, "http": {"port": 0}}
    return Settings.model_validate({**free, **sections})


def test_workers_can_listen_on_what_is_held() -> None:
    """Two sockets that share ports listen where one is held, and it takes no connection itself."""
    held = Ports(places(settings()))
    assert sorted(held.numbers) == ["http.port", "server.port"]
    address = ("127.0.0.1", held.numbers["server.port"])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            each.bind(address)
            each.listen()
        socket.create_connection(address).close()
    held.close()


def test_a_port_in_use_is_refused() -> None:
    """Somebody else's port is not shared, even where that one would share it."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(
            ConfigError,
            match=rf"server\.host and server\.port: cannot listen on 127.0.0.1:{taken} ",
        ):
            Ports(places(settings(server={"port": taken})))


def test_only_ports_that_are_listened_on_are_held() -> None:
    """HTTP that is switched off has no port; one for certificates is held where there is TLS."""
    assert [one.setting for one in places(settings(http={"enabled": False}))] == ["server.port"]
    tls: dict[str, object] = {"certificate": "a.pem", "key": "a.key", "grpc_certificate_port": 0}
    assert len(places(settings(tls=tls))) == 3
