"""A start that would be open by accident does not happen."""

from pathlib import Path
from typing import Any

import pytest

from tame_router.config import Settings
from tame_router.errors import ConfigError
from tame_router.identity.exposure import is_loopback, require_safe

PAIR = {"certificate": Path("c.pem"), "key": Path("k.pem")}


def settings(**sections: dict[str, Any]) -> Settings:
    """Give settings."""
    return Settings.model_validate(sections)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),  # noqa: S104 - the point of the test
        ("::", False),
        ("", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("router", False),
    ],
)
def test_loopback_is_told_from_the_world(host: str, own: bool) -> None:
    """Only this machine's own address is loopback; a name is not trusted to be."""
    assert is_loopback(host) is own


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"server": {"insecure": True}},
        {"server": {"host": "::1"}, "http": {"host": "localhost"}},
        {"server": {"host": "0.0.0.0"}, "tls": PAIR},  # noqa: S104
        {"server": {"host": "0.0.0.0"}, "tls": {"terminated_elsewhere": True}},  # noqa: S104
        {"server": {"insecure": True}, "http": {"enabled": False, "host": "10.0.0.1"}},
        {"tls": {**PAIR, "client_ca": Path("a"), "require_client_certificate": True}},
    ],
)
def test_what_is_safe_starts(sections: dict[str, Any]) -> None:
    """Loopback, TLS, or TLS elsewhere: each will do."""
    made = settings(**sections)
    require_safe(made)
    assert made == settings(**sections)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"server": {"host": "0.0.0.0"}}, r"server\.host .*tls\.certificate and tls\.key"),  # noqa: S104
        ({"http": {"host": "10.0.0.1"}}, r"http\.host is '10\.0\.0\.1'.*terminated_elsewhere"),
        ({"server": {"host": "router", "insecure": True}}, r"server\.insecure asks nobody"),
        (
            {"server": {"host": "0.0.0.0", "insecure": True}, "tls": PAIR},  # noqa: S104
            r"server\.insecure asks nobody",
        ),
        (
            {"server": {"insecure": True}, "http": {"host": "::"}},
            r"server\.insecure .*http\.host",
        ),
        ({"tls": {"certificate": Path("c")}}, r"tls\.key is not set"),
        ({"tls": {"key": Path("k")}}, r"tls\.certificate is not set"),
        ({"tls": {"client_ca": Path("a")}}, r"tls\.certificate is not set"),
        ({"tls": {**PAIR, "client_crl": Path("l")}}, r"tls\.client_ca is not set"),
        ({"tls": {**PAIR, "require_client_certificate": True}}, r"tls\.client_ca is not set"),
        ({"tls": {**PAIR, "grpc_certificate_port": 0}}, r"tls\.client_ca is not set"),
        ({"tls": {**PAIR, "terminated_elsewhere": True}}, r"contradict each other"),
    ],
)
def test_what_is_open_does_not_start(sections: dict[str, Any], words: str) -> None:
    """The error names the setting, the value and what to set."""
    with pytest.raises(ConfigError, match=words):
        require_safe(settings(**sections))
