"""`tame serve`: as a program, from its first start to SIGTERM."""

import io
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tame_router.client.client import Client
from tame_router.client.event import Delta, Final
from tests.cli.conftest import Tame
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Pace
from tests.small_experts import QUESTIONS

LEGAL = QUESTIONS["legal"][0]


@contextmanager
def served(config_file: Path, log: Path, **environment: str) -> Iterator[tuple[Any, str]]:
    """Run `tame serve` as a program; give the process and the address that it prints."""
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", "tame_router", "serve", "--config", str(config_file)],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=stderr,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], 60)[0], log.read_text()
            words, _, address = process.stdout.readline().decode().rpartition(" ")
            assert words == "serving on", log.read_text()
            yield process, address.strip()
        finally:
            process.kill()


def logged(log: Path) -> list[dict[str, Any]]:
    """Read a log of JSON lines."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def test_a_first_start_trains_then_serves_then_drains(
    config_file: Path, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    """Without an artefact one is made, in another process; SIGTERM lets an answer finish."""
    fake_vllm.pace = Pace(token_s=0.02)
    log = tmp_path / "log"
    state = str(tmp_path / "fresh")
    with served(config_file, log, TAME_STATE_DIR=state) as (process, address):
        with Client(address) as client, client.stream(LEGAL) as events:
            while not isinstance(next(events), Delta):
                pass
            libraries = Path(f"/proc/{process.pid}/maps").read_text()
            process.send_signal(signal.SIGTERM)
            *_, last = events
        assert isinstance(last, Final)
        assert process.wait(30) == 0
    assert "sklearn" not in libraries
    assert (Path(state) / "router" / "router.json").is_file()
    lines = logged(log)
    assert [line["event"] for line in lines if line["event"] != "encoder.absent"] == [
        "router.training",
        "server.insecure",
        "server.started",
        "server.draining",
        "answer.finished",
        "server.stopped",
    ]
    told = {line["event"]: line for line in lines}
    assert told["server.started"]["address"] == address
    assert told["answer.finished"]["expert"] == "legal"
    assert LEGAL not in log.read_text()


def test_a_second_start_is_quick_and_stops_at_once(config_file: Path, tmp_path: Path) -> None:
    """With an artefact nothing is trained; without an answer under way SIGINT ends it now."""
    log = tmp_path / "log"
    with served(config_file, log) as (process, _):
        begun = time.perf_counter()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert time.perf_counter() - begun < 4
    events = [line["event"] for line in logged(log)]
    assert [event for event in events if event != "encoder.absent"] == [
        "server.insecure",
        "server.started",
        "server.draining",
        "server.stopped",
    ]


class _Announced(io.StringIO):
    """Standard output that sends this process a signal when it gets the address."""

    def write(self, text: str) -> int:
        """Stop what serves."""
        if text.startswith("serving on "):
            os.kill(os.getpid(), signal.SIGTERM)
        return super().write(text)


def test_serving_in_this_process(
    tame: Tame, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments win over the file, and the address that is printed is the one that is had."""
    monkeypatch.setattr(sys, "stdout", stdout := _Announced())
    monkeypatch.setenv("TAME_SERVER__PORT", "1")
    arguments = ("--host", "127.0.0.1", "--port", "0", "--config", str(config_file))
    assert tame("serve", *arguments).code == 0
    grpc, http = stdout.getvalue().splitlines()
    for line, words in ((grpc, "serving on "), (http, "serving HTTP on ")):
        host, _, port = line.removeprefix(words).partition(":")
        assert host == "127.0.0.1"
        assert int(port) > 1023


def test_a_port_in_use_stops_the_start(tame: Tame, config_file: Path, fake_vllm: FakeVllm) -> None:
    """The exit is 3, and the setting is named."""
    port = fake_vllm.root_url.rpartition(":")[2]
    result = tame("serve", "--port", port, "--config", str(config_file))
    assert (result.code, result.out) == (3, "")
    assert "tame: INVALID_CONFIGURATION: server.host and server.port: cannot listen" in result.err
    assert f"127.0.0.1:{port}" in result.err


def test_a_port_that_is_none_is_refused(tame: Tame) -> None:
    """A port out of range is told by its key."""
    result = tame("serve", "--port", "70000")
    assert result.code == 3
    assert "server.port" in result.err


def test_an_open_service_is_asked_for_by_name(
    tame: Tame, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--insecure` serves without keys on loopback and says so; elsewhere it does not start."""
    monkeypatch.setenv("TAME_SERVER__INSECURE", "false")
    arguments = ("serve", "--port", "0", "--config", str(config_file))
    refused = tame(*arguments, "--insecure", "--host", "0.0.0.0")  # noqa: S104 - the point
    assert refused.code == 3
    assert "server.insecure asks nobody who they are" in refused.err
    refused = tame(*arguments, "--host", "0.0.0.0")  # noqa: S104
    assert refused.code == 3
    assert "set tls.certificate and tls.key" in refused.err
    monkeypatch.setattr(sys, "stdout", _Announced())
    served = tame(*arguments, "--insecure")
    assert served.code == 0
    assert '"event": "server.insecure"' in served.err
