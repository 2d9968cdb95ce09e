"""schemathesis over the HTTP surface's own OpenAPI document, with the good key and without one."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.fuzzing.drive import Tally
from bench.fuzzing.service import Fuzzed

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
"""Not `positive_data_acceptance`: that the last message is the user's, a schema cannot say."""
WITHOUT_KEY = 0.15
"""Share of the time without a key."""
SHORTEST_S = 4
REPORT = "report.ndjson"
STARTS_S = 60
"""Time that schemathesis may need beside what it is given."""
_CONFIG = """
[generation]
allow-extra-parameters = false

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503", "504"]
"""
"""The service may say that it stops, or that the caller's own time has passed: both are told. And
headers that the document does not name are no fault of a request."""
_WITH_KEY = """
[parameters]
"header.x-request-timeout-s" = "20"
"""
"""A time of 5e-324 s, which may be asked for, lets nothing come to its end; the run without a key
and the fuzzed bodies ask for such times."""
_PROGRAM = "import sys; from schemathesis.cli import schemathesis; schemathesis()"


def run_schemathesis(service: Fuzzed, seconds: float, seed: int) -> Tally:
    """Run it, first with the key, then without, and count."""
    tally = Tally()
    without = max(SHORTEST_S, seconds * WITHOUT_KEY)
    begun = time.monotonic()
    key = ("--header", f"Authorization: Bearer {service.router.key}")
    # It would put invented keys in the good one's place; those are for the run without.
    with_key = (*key, "--generation-with-security-parameters", "false")
    runs = (
        (_CONFIG + _WITH_KEY, with_key, max(SHORTEST_S, seconds - without)),
        (_CONFIG, (), without),
    )
    for config, arguments, share in runs:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "schemathesis.toml").write_text(config, encoding="utf-8")
            command = _command(service.router.http, arguments, share, seed)
            _run(command, Path(folder), 2 * share + STARTS_S, tally)
    tally.seconds = time.monotonic() - begun
    return tally


def _command(address: str, arguments: tuple[str, ...], seconds: float, seed: int) -> list[str]:
    return [
        *(sys.executable, "-c", _PROGRAM, "run", f"http://{address}/openapi.json"),
        *arguments,
        *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"),
        *("--max-time", str(round(seconds)), "--seed", str(seed), "--continue-on-failure"),
        *("--generation-database", "none", "--no-color", "--warnings", "off"),
        *("--report", "ndjson", "--report-ndjson-path", REPORT),
    ]


def _run(command: list[str], folder: Path, most_s: float, tally: Tally) -> None:
    """Run it once in a folder of its own, where it leaves what it writes."""
    done = subprocess.run(
        command,
        cwd=folder,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=most_s,
    )
    report = folder / REPORT
    if done.returncode not in {0, 1} or not report.exists():
        raise RuntimeError(f"schemathesis ended with {done.returncode}: {done.stdout[-2_000:]}")
    for recorder in _recorders(report):
        _count(recorder, tally)
    if done.returncode and not tally.failures:
        tally.failures["schemathesis complains"] = done.stdout


def _recorders(report: Path) -> Iterator[dict[str, Any]]:
    """Give what was sent and met, scenario by scenario."""
    with report.open(encoding="utf-8") as lines:
        for line in lines:
            finished = json.loads(line).get("ScenarioFinished", {})
            yield finished.get("recorder") or {}


def _count(recorder: dict[str, Any], tally: Tally) -> None:
    label = recorder.get("label", "")
    for interaction in recorder.get("interactions", {}).values():
        answer = interaction.get("response") or {}
        tally.statuses[f"{label} {answer.get('status_code', 'without an answer')}"] += 1
    for case, checks in recorder.get("checks", {}).items():
        for check in checks:
            if check["status"] != "success":
                failure = (check.get("failure_info") or {}).get("failure") or {}
                words = failure.get("message", "").rpartition("\n")[2]
                fault = f"{label}: {check['name']} {words}".strip()
                told = json.dumps([check, recorder.get("cases", {}).get(case)])
                tally.failures.setdefault(fault, told)
