"""A port that is taken, and what is said where it cannot be had."""

import socket

from tame_router.errors import ConfigError
from tame_router.host_port import host_port


def bind(host: str, port: int, *, shared: bool) -> socket.socket:
    """Take a port, and give its socket, which does not listen yet.

    Args:
        host: Address; one of IPv6 with or without brackets.
        port: Number; 0: any free one.
        shared: Others may take it too.

    Raises:
        OSError: When it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # uvloop and asyncio turn Nagle's algorithm off only where the protocol is named.
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind((host.strip("[]"), port))
    except OSError:
        taken.close()
        raise
    return taken


def cannot_listen(
    setting: str, host: str, port: int, *, why: str = "", instead: str = ""
) -> ConfigError:
    """Give the error of a port that cannot be had.

    Args:
        setting: Path of the port's setting, `http.port`.
        host: Address.
        port: Number.
        why: What the system says; empty: nothing.
        instead: What else can be done about it; empty: nothing.
    """
    host_setting = "http.host" if setting == "http.port" else "server.host"
    said = f" ({why})" if why else ""
    variable = f"set TAME_{setting.upper().replace('.', '__')}"
    advice = (
        f"stop the other program, {variable}, or {instead}"
        if instead
        else (f"stop the other program or {variable}")
    )
    return ConfigError(
        f"{host_setting} and {setting}: cannot listen on {host_port(host, port)}{said}: the port is"
        f" in use or the address is not this machine's; {advice}"
    )
