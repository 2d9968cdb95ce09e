"""Dashboards and alerts, tried on a real Prometheus that scrapes a running router."""

import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tame_router import app
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tame_router.errors import BackendError, QuotaExceededError, UnauthenticatedError
from tame_router.errors_registry import StorageFullError
from tame_router.telemetry import telemetry as telemetry_module
from tame_router.telemetry.instrument import INSTRUMENTS
from tame_router.telemetry.instrument_kind import Kind
from tame_router.telemetry.telemetry import Telemetry
from tests.fakes.uvicorn_thread import UvicornThread
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Refuse
from tests.prometheus_server import PrometheusServer
from tests.router_fixture import changed
from tests.small_experts import QUESTIONS

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "deploy/grafana"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
CONFIG = ROOT / "deploy/prometheus/prometheus.yml"
BOARDS = sorted(GRAFANA.glob("*.json"))

# What Grafana puts in; the scrapes of a test are that much closer together.
FILLED = {"$__rate_interval": "5s", "$instance": ".*", "$tenant": ".*"}

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="no prometheus and promtool here; install both to try the dashboards",
)


def panels(board: Path) -> list[dict[str, Any]]:
    """Give a dashboard's panels, rows left out."""
    document = json.loads(board.read_text(encoding="utf-8"))
    return [panel for panel in document["panels"] if panel["type"] != "row"]


def queries() -> list[tuple[str, str]]:
    """Give every query of every dashboard under its panel's title, filled in."""
    found = []
    for board in BOARDS:
        for panel in panels(board):
            for target in panel["targets"]:
                query = target["expr"]
                for variable, value in FILLED.items():
                    query = query.replace(variable, value)
                found.append((f"{board.stem}: {panel['title']}", query))
    return found


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_a_dashboard_is_in_order(board: Path) -> None:
    """Ids are unique, panels do not overlap, and each says in a sentence what it shows."""
    document = json.loads(board.read_text(encoding="utf-8"))
    assert document["uid"] == board.stem
    ids = [panel["id"] for panel in document["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + line)
            for column in range(place["w"])
            for line in range(place["h"])
        }
        assert not cells & taken
        assert max(column for column, _ in cells) < 24
        taken |= cells
    assert all(panel["description"].endswith(".") for panel in panels(board))


def test_every_metric_is_shown_somewhere() -> None:
    """No metric is kept that neither a dashboard nor an alert looks at."""
    shown = " ".join(query for _, query in queries()) + ALERTS.read_text(encoding="utf-8")
    assert [one.name for one in INSTRUMENTS if one.prometheus_name not in shown] == []


@pytest.mark.prometheus
@needs_prometheus
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", str(ALERTS)),
        ("check", "config", "--syntax-only", str(CONFIG)),
        ("test", "rules", str(ROOT / "tests/deploy/alerts_test.yml")),
    ],
    ids=["rules", "config", "alerts"],
)
def test_promtool_finds_no_fault(arguments: tuple[str, ...]) -> None:
    """Rules and configuration are valid, and each alert goes off when, and only when, it should."""
    done = promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Telemetry]:
    """Give the telemetry of routers that are built from now on."""
    found: list[Telemetry] = []

    def build(*arguments: Any) -> Telemetry:
        found.append(telemetry_module.build_telemetry(*arguments))
        return found[-1]

    monkeypatch.setattr(app, "build_telemetry", build)
    return found


@pytest.fixture
async def client(settings: Settings, built: list[Telemetry]) -> AsyncIterator[AsyncClient]:
    """Give a client of a router that keeps traces, for a collector that is not there."""
    traced = changed(settings, telemetry={"otlp_endpoint": "http://127.0.0.1:9"})
    async with app.running(traced) as address, AsyncClient(address, attempts=1) as client:
        yield client


@pytest.fixture
def prometheus(
    client: AsyncClient, built: list[Telemetry], tmp_path: Path
) -> Iterator[PrometheusServer]:
    """Give a Prometheus that scrapes the router."""

    async def metrics(request: Request) -> Response:
        body, content_type = built[0].render(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    pages = Starlette(routes=[Route("/metrics", metrics)])
    with (
        UvicornThread(pages) as served,
        PrometheusServer(tmp_path, f"127.0.0.1:{served.port}", rules=(ALERTS,)) as server,
    ):
        yield server


async def traffic(client: AsyncClient, fake: FakeVllm, telemetry: Telemetry) -> None:
    """Let everything happen that a panel shows."""
    for question, *_ in QUESTIONS.values():
        await client.chat(question)
        await client.route(question)
    fake.next(Refuse(status=500, body=b"{}"))
    with pytest.raises(BackendError):
        await client.chat(QUESTIONS["legal"][0])
    # This router has one server and no limits, and runs insecure: nothing else would happen.
    recorder = telemetry.recorder
    recorder.failover("local", "broken", "continued")
    recorder.hedge("local", "second")
    recorder.replicas("local", {"ready": 2, "ejected": 1})
    recorder.replicas_out("local", {"restarted": 1})
    recorder.queue_waited("local", 0.2)
    recorder.queue_refused("local", "wait")
    recorder.adapter_changed("active")
    recorder.adapter_label_moved("rollback", by_router=True)
    recorder.adapter_copied("dropped")
    recording = recorder.begin("http", "chat", {})
    facts = {"expert": "legal", "revision": "", "backend": "local"}
    recording.fell_back("legal", "base_model", "ADAPTER_NOT_LOADED", **facts)
    recorder.finish(recording)
    errors = (
        UnauthenticatedError("x"),
        QuotaExceededError("x", metadata={"limit": "day"}),
        StorageFullError("x"),
    )
    for error in errors:
        recording = recorder.begin("http", "chat", {"traceparent": f"00-{TRACE}-{TRACE[:16]}-01"})
        recording.failed(error)
        recorder.finish(recording)


def empty(server: PrometheusServer) -> list[str]:
    """Give the panels whose query is refused, or finds nothing."""
    lacking = []
    for title, query in queries():
        data = server.ask("query", query=query)
        found = data["result"] if isinstance(data, dict) else []
        if not any(result["value"][1] != "NaN" for result in found):
            lacking.append(f"{title}: {query} -> {data}")
    return lacking


@pytest.mark.anyio
@pytest.mark.prometheus
@needs_prometheus
async def test_every_panel_shows_something(
    client: AsyncClient, fake_vllm: FakeVllm, prometheus: PrometheusServer, built: list[Telemetry]
) -> None:
    """After some traffic each query of each panel is accepted, and finds data."""
    lacking = ["not asked yet"]
    until = anyio.current_time() + 40
    while lacking and anyio.current_time() < until:
        await traffic(client, fake_vllm, built[0])
        await anyio.sleep(0.3)  # more than one scrape: a rate takes two
        lacking = await anyio.to_thread.run_sync(empty, prometheus)
    assert lacking == []
    rules = await anyio.to_thread.run_sync(partial(prometheus.ask, "rules"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert rule["health"] == "ok", rule
    targets = await anyio.to_thread.run_sync(partial(prometheus.ask, "targets"))
    assert [target["lastError"] for target in targets["activeTargets"]] == [""]


@pytest.mark.anyio
@pytest.mark.prometheus
@needs_prometheus
async def test_a_slow_answer_leads_to_its_trace(
    client: AsyncClient, fake_vllm: FakeVllm, prometheus: PrometheusServer, built: list[Telemetry]
) -> None:
    """Prometheus has the trace ids of answers beside their buckets."""
    await traffic(client, fake_vllm, built[0])
    metric = "gen_ai_server_request_duration_seconds_bucket"

    def trace_ids() -> list[str]:
        data = prometheus.ask("query_exemplars", query=metric, start="0", end="9999999999")
        return [one["labels"]["trace_id"] for each in data for one in each["exemplars"]]

    def some() -> bool:
        return bool(trace_ids())

    assert await anyio.to_thread.run_sync(prometheus.until, some)
    found = await anyio.to_thread.run_sync(trace_ids)
    assert all(len(one) == 32 and int(one, 16) for one in found)


def test_histograms_are_asked_by_their_buckets() -> None:
    """A panel never asks for a histogram's bare name, which Prometheus does not know."""
    for one in INSTRUMENTS:
        if one.kind is not Kind.HISTOGRAM:
            continue
        for title, query in queries():
            rest = query.split(one.prometheus_name)[1:]
            assert all(part.startswith(("_bucket", "_sum", "_count")) for part in rest), title
