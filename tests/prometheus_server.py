"""A real Prometheus on a free port, with storage of its own, that scrapes one address fast."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

START_TIMEOUT_S = 30
SCRAPE = "200ms"


class PrometheusServer:
    """The server; a context manager that runs inside it.

    Args:
        folder: Where it keeps everything.
        target: What it scrapes, `127.0.0.1:port`.
        rules: Files of rules it evaluates.
        key: Bearer key it shows; empty: none.
    """

    def __init__(
        self, folder: Path, target: str, rules: tuple[Path, ...] = (), key: str = ""
    ) -> None:
        self._folder = folder
        job: dict[str, Any] = {
            "job_name": "tame-router",
            "static_configs": [{"targets": [target]}],
        }
        if key:
            job["authorization"] = {"credentials": key}
        self._config = {
            "global": {"scrape_interval": SCRAPE, "evaluation_interval": SCRAPE},
            "rule_files": [str(rule) for rule in rules],
            "scrape_configs": [job],
        }
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{free.getsockname()[1]}"

    def __enter__(self) -> "PrometheusServer":
        """Start, and wait until it takes queries."""
        config = self._folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(self._config), encoding="utf-8")
        self._log = (self._folder / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={self._folder / 'data'}",
                f"--web.listen-address={self._address}",
                "--enable-feature=exemplar-storage",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self.until(lambda: self._get("/-/ready") is not None, START_TIMEOUT_S)
        return self

    def __exit__(self, *error: Any) -> None:
        """Stop."""
        self._process.terminate()
        self._process.wait(30)
        self._log.close()

    def ask(self, path: str, **query: str) -> Any:
        """Ask its API, and give the data; an error's text where it refuses."""
        body = self._get(f"/api/v1/{path}?{urllib.parse.urlencode(query)}")
        document = json.loads(body or b"{}")
        return document.get("data", document.get("error"))

    def until(self, true: Callable[[], bool], timeout_s: float = 20) -> bool:
        """Ask again and again until something is so; False when it is not in time."""
        until = time.monotonic() + timeout_s
        while not true():
            if time.monotonic() > until:
                return False
            time.sleep(0.1)  # a Prometheus can only be polled
        return True

    def _get(self, path: str) -> bytes | None:
        try:
            with urllib.request.urlopen(f"http://{self._address}{path}", timeout=10) as answer:
                body: bytes = answer.read()
                return body
        except urllib.error.HTTPError as error:
            return error.read() if error.code in (400, 422) else None
        except OSError:
            return None
