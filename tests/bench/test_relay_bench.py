"""The routers side by side, in short and without peers: every answer comes whole."""

from pathlib import Path

import pytest

from bench import relay, relay_page

PLAN = relay.Plan(rounds=1, seconds=0.5, pairs=4, open_streams=(), peers=())


@pytest.fixture(scope="module")
def found() -> dict[str, object]:
    """Give the figures of a short run of ours alone."""
    return relay.measure(PLAN)


def test_all_figures_are_there(found: dict[str, object]) -> None:
    """Ours is measured on both ports, by one process and by two, and no answer fails."""
    assert found["failed"] == 0
    for name in ("answers_s", "ttft_added_ms", "gap_ms_p99"):
        assert {"tame", "tame_http", "tame_workers", "tame_http_workers"} <= set(found[name])  # type: ignore[call-overload]
    assert set(found["cpu_ms"]) == {"burst", "paced"}  # type: ignore[call-overload]
    assert found["rss_mb"] == {}


def test_load_and_fake_are_no_bottleneck(found: dict[str, object]) -> None:
    """With no router between them they do many times what any router lets through."""
    own = found["own"]["burst"]  # type: ignore[index]
    assert own["direct"]["answers"] > 2 * max(own["tame"]["answers"], own["tame_http"]["answers"])


def test_a_page_gets_the_table_and_a_plot(found: dict[str, object], tmp_path: Path) -> None:
    """The table stands between the marks, in place of what stood there; the plot is an SVG."""
    page = f"before\n{relay_page.PLACE.begin}\nold\n{relay_page.PLACE.end}\nafter\n"
    filled = relay_page.PLACE.fill(page, relay_page.table(found))
    assert filled.startswith("before\n")
    assert filled.endswith("\nafter\n")
    assert "old" not in filled
    assert "| CPU per answer, burst, ms |" in filled
    relay_page.write_plot(tmp_path / "relay.svg", found)
    assert "<svg" in (tmp_path / "relay.svg").read_text(encoding="utf-8")
