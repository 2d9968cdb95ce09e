"""The ports that workers share: taken once, so that all of them get the same."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass

from tame_router.api.listening import bind, cannot_listen
from tame_router.config import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a port is, as the settings say: 0 stands for any free one."""

    setting: str
    host: str
    port: int


def places(settings: Settings) -> tuple[Place, ...]:
    """Give the ports that a router with these settings listens on, gRPC first."""
    server, http, tls = settings.server, settings.http, settings.tls
    found = [Place(setting="server.port", host=server.host, port=server.port)]
    if http.enabled:
        found.append(Place(setting="http.port", host=http.host or server.host, port=http.port))
    if tls.certificate and not tls.terminated_elsewhere and tls.grpc_certificate_port is not None:
        found.append(
            Place(
                setting="tls.grpc_certificate_port",
                host=server.host,
                port=tls.grpc_certificate_port,
            )
        )
    return tuple(found)


class Ports:
    """Ports that are held, and not listened on: workers listen beside.

    Args:
        wanted: Which.
        shared: Other routers may listen on them too.

    Attributes:
        numbers: Port by setting.

    Raises:
        ConfigError: When one of them is another's.
    """

    def __init__(self, wanted: tuple[Place, ...], *, shared: bool = False) -> None:
        self.wanted = wanted
        self.numbers: dict[str, int] = {}
        with ExitStack() as stack:
            for place in wanted:
                held = stack.enter_context(_held(place, shared=shared))
                self.numbers[place.setting] = int(held.getsockname()[1])
            self._held = stack.pop_all()

    def close(self) -> None:
        """Let go of them."""
        self._held.close()


def _held(place: Place, *, shared: bool) -> socket.socket:
    try:
        if not shared:
            # Alone first: whoever shares a port with workers would share it with strangers too.
            with bind(place.host, place.port, shared=False) as alone:
                alone.listen()
        return bind(place.host, place.port, shared=True)
    except OSError as error:
        why = str(error.strerror or error)
        raise cannot_listen(place.setting, place.host, place.port, why=why) from None
