"""What an adapter's life leaves in the metrics of the router that it is lived on."""

from typing import Any

import pytest

from tame_router import app
from tame_router.client.adapter import RevisionState
from tame_router.errors_registry import CorruptRevisionError
from tame_router.telemetry import telemetry as telemetry_module
from tame_router.telemetry.telemetry import Telemetry
from tests.registry_fixture import Site, approved, decided

pytestmark = pytest.mark.anyio


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Telemetry]:
    """Give the telemetry of routers that are built from now on."""
    found: list[Telemetry] = []

    def build(*arguments: Any) -> Telemetry:
        found.append(telemetry_module.build_telemetry(*arguments))
        return found[-1]

    monkeypatch.setattr(app, "build_telemetry", build)
    return found


def counted(telemetry: Telemetry) -> dict[str, float]:
    """Give what is counted of adapters, without what was not there."""
    lines = telemetry.render("")[0].decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("tame_adapter_"))
    return {series: float(value) for series, value in pairs if float(value)}


async def test_a_life_is_counted(site: Site, built: list[Telemetry]) -> None:
    """Two revisions approved, one published and taken back, one that is not what it was."""
    async with site.running() as client:
        first = await approved(client, site.adapter(1))
        second = await approved(client, site.adapter(2))
        await client.adapters.publish(first)
        await client.adapters.rollback("legal")
        document = site.store / "revisions" / second / "manifest.json"
        document.unlink()
        document.write_bytes(b'{"files":[],"format":1}')
        with pytest.raises(CorruptRevisionError):
            await client.adapters.publish(second)
        assert (await decided(client, second)).state is RevisionState.APPROVED
    change = "tame_adapter_changes_total"
    assert counted(built[0]) == {
        f'{change}{{state="validating"}}': 2,
        f'{change}{{state="evaluating"}}': 2,
        f'{change}{{state="approved"}}': 3,  # the second one again when its publication failed
        f'{change}{{state="publishing"}}': 2,
        f'{change}{{state="active"}}': 1,
        f'{change}{{state="retired"}}': 1,
        'tame_adapter_label_moves_total{action="publish",by="caller"}': 1,
        'tame_adapter_label_moves_total{action="rollback",by="caller"}': 1,
        "tame_adapter_corrupt_total": 1,
    }
