"""Ports that are taken, and what is said where they cannot be had."""

import pytest

from tame_router.api.listening import bind, cannot_listen


def test_a_port_is_taken_once_unless_it_is_shared() -> None:
    """Who shares it must say so, and so must everybody before."""
    with bind("127.0.0.1", 0, shared=False) as first:
        first.listen()
        with pytest.raises(OSError, match="in use"):
            bind("127.0.0.1", first.getsockname()[1], shared=True)
    with bind("127.0.0.1", 0, shared=True) as one:
        bind("127.0.0.1", one.getsockname()[1], shared=True).close()


@pytest.mark.parametrize(
    ("setting", "beginning", "end"),
    [
        ("server.port", "server.host and server.port: ", "or set TAME_SERVER__PORT"),
        ("http.port", "http.host and http.port: ", "set TAME_HTTP__PORT, or rest"),
        (
            "tls.grpc_certificate_port",
            "server.host and tls.grpc_certificate_port: ",
            "or set TAME_TLS__GRPC_CERTIFICATE_PORT",
        ),
    ],
)
def test_the_error_says_which_setting_and_what_to_do(
    setting: str, beginning: str, end: str
) -> None:
    """By the name of its variable; the address is one that can be copied."""
    instead = "rest" if setting == "http.port" else ""
    error = cannot_listen(setting, "::1", 7, why="why", instead=instead)
    assert error.reason == "INVALID_CONFIGURATION"
    assert error.message.startswith(
        f"{beginning}cannot listen on [::1]:7 (why): the port is in use"
    )
    assert error.message.endswith(end)
