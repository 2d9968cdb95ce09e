"""docs/telemetry.md names every metric, every alert, and every event of adapters."""

import ast
import re
from pathlib import Path

import yaml

from tame_router.telemetry.instrument import INSTRUMENTS
from tame_router.telemetry.instrument_kind import Kind

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/telemetry.md").read_text(encoding="utf-8")
EVENT = re.compile(r"(adapter|domain|labels?|replica\.revision)[._][a-z_]+")


def first_cells(heading: str) -> list[str]:
    """Give what stands in the first column of the tables below a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| (`.+?`) \|", section, flags=re.MULTILINE)


def events() -> set[str]:
    """Give the names of all events of adapters that the package writes."""
    found = set()
    for path in (ROOT / "tame_router").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="event"), args=[_, ast.Constant(value=str(name)), *_]
                ) if EVENT.fullmatch(name):
                    found.add(name)
    return found


def test_every_metric_is_listed() -> None:
    """Each stands in the table once, under the name that Prometheus has for it."""
    names = [
        f"`{one.prometheus_name}{'_total' if one.kind is Kind.COUNTER else ''}`"
        for one in INSTRUMENTS
    ]
    assert sorted(first_cells("Metrics")) == sorted(names)


def test_every_alert_is_listed() -> None:
    """No alert goes off that the page does not know."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))
    names = {f"{rule['alert']}" for group in rules["groups"] for rule in group["rules"]}
    listed = " ".join(first_cells("Prometheus and Grafana"))
    assert set(re.findall(r"`(\w+)`", listed)) == names


def test_every_event_of_adapters_is_listed() -> None:
    """What the log may say of an adapter is explained."""
    listed = {cell.strip("`") for cell in first_cells("Events of adapters in the log")}
    assert "adapter.label" in listed
    assert listed == events()
