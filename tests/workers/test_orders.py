"""What workers are told wins over their configuration, and they share what is one's."""

from pathlib import Path

from tame_router.config import Settings
from tame_router.workers.orders import Orders


def test_ports_and_answers_are_shared_out() -> None:
    """All get the same ports; the answers at once are divided, and rounded up."""
    settings = Settings.model_validate({"server": {"workers": 3, "max_answers": 100}})
    given = {"server": {"insecure": True, "workers": 3}}
    ports = {"server.port": 5, "http.port": 6}
    orders = Orders.of(settings, given, ports, Path("/pool"))
    assert orders.count == 3
    assert orders.given == {
        "server": {
            "insecure": True,
            "port": 5,
            "workers": 0,
            "reuse_port": True,
            "max_answers": 34,
        },
        "http": {"port": 6},
        "telemetry": {"metrics_pool": "/pool"},
    }
    assert given["server"]["workers"] == 3
