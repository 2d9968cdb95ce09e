"""What workers are told wins over their configuration, and they share what is one's."""

from pathlib import Path

from tame_router.config import Settings
from tame_router.config_file import load_settings
from tame_router.workers.orders import Orders


def test_ports_and_answers_are_shared_out() -> None:
    """All get the same ports; answers at once, rounded up, and a canary's error are divided."""
    canary = {"error_share": 0.06, "shadow_at_once": 4}
    settings = Settings.model_validate(
        {"server": {"workers": 3, "max_answers": 100}, "registry": {"canary": canary}}
    )
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
        "registry": {"canary": {"error_share": 0.02}},
        "telemetry": {"metrics_pool": "/pool"},
    }
    assert given["server"]["workers"] == 3


def test_a_worker_s_other_settings_are_its_configuration_s(tmp_path: Path) -> None:
    """What it is told of canaries leaves the rest of that section as the file has it."""
    file = tmp_path / "tame.yaml"
    file.write_text("registry: {quorum: 0.5, canary: {error_share: 0.06, shadow_at_once: 4}}")
    settings = load_settings(file, {"server": {"workers": 3}})
    orders = Orders.of(settings, {"server": {"workers": 3}}, {}, Path("/pool"))
    registry = load_settings(file, orders.given).registry
    assert (registry.quorum, registry.canary.shadow_at_once) == (0.5, 4)
    assert registry.canary.error_share == 0.02
