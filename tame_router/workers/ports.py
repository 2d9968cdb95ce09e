"""The ports that workers share: taken once, so that all of them get the same."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass

from tame_router.config import Settings
from tame_router.errors import ConfigError


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
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    address = (place.host.strip("[]"), place.port)
    try:
        if not shared:
            # Alone first: whoever shares a port with workers would share it with strangers too.
            with socket.socket(family, socket.SOCK_STREAM) as alone:
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                alone.bind(address)
                alone.listen()
        held = socket.socket(family, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            held.bind(address)
        except OSError:
            held.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"{place.setting}: cannot listen on {place.host}:{place.port}"
            f" ({error.strerror or error}): the port is in use or the address is not this"
            f" machine's; stop the other program or set"
            f" TAME_{place.setting.upper().replace('.', '__')}"
        ) from None
    return held
