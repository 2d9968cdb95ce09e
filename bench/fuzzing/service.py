"""The service while it is fuzzed: a secured router, what it holds, and what its log says."""

import contextlib
import http.client
import json
import re
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc

from bench.overhead import resident_mb
from bench.secured import TENANT, Secured, secured
from tame_router.client.client import Client
from tame_router.v1 import admin_service_pb2
from tame_router.v1.admin_service_pb2_grpc import AdminServiceStub

QUESTION = "租約到期了，房東一直不退押金，該怎麼辦？"
SCOPES = "chat,usage,metrics,admin"
SETTLE_S = 10.0
_RUNNING = re.compile(r"^vllm:num_requests_running\{[^}]*\} ([0-9.]+)$", re.MULTILINE)
_ESTABLISHED = "01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a router holds at a moment.

    Attributes:
        rss_mb: Memory.
        files: Open file descriptors, sockets included.
        upstream: Connections to the engine.
        running: Answers the engine is writing.
    """

    rss_mb: float
    files: int
    upstream: int
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuzzed:
    """A router that is to be fuzzed, and its log."""

    router: Secured
    log: Path

    def held(self) -> Held:
        """Tell what it holds, once answers under way had time to end."""
        until = time.monotonic() + SETTLE_S
        while (running := self._running()) and time.monotonic() < until:
            time.sleep(0.1)
        return Held(
            rss_mb=round(resident_mb(self.router.pid), 1),
            files=sum(1 for _ in Path(f"/proc/{self.router.pid}/fd").iterdir()),
            upstream=self._upstream(),
            running=running,
        )

    def crashes(self) -> list[str]:
        """Give the lines of its log that tell of an error which nobody expected."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        return [line for line in lines if _unexpected(line)]

    def answers(self) -> bool:
        """Tell whether a good client is answered, over gRPC and over HTTP."""
        with Client(self.router.grpc, api_key=self.router.key) as client:
            over_grpc = client.chat(QUESTION).content
        body = {"model": "tame-auto", "messages": [{"role": "user", "content": QUESTION}]}
        link = http.client.HTTPConnection(self.router.http, timeout=30)
        with contextlib.closing(link):
            headers = {"Authorization": f"Bearer {self.router.key}"}
            headers["Content-Type"] = "application/json"
            link.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            answer = json.loads(link.getresponse().read())
        return bool(over_grpc and answer["choices"][0]["message"]["content"])

    def tidy(self) -> None:
        """Take away the tenants that were made: what is kept on purpose is no leak."""
        metadata = (("authorization", f"Bearer {self.router.key}"),)
        with grpc.insecure_channel(self.router.grpc) as channel:
            office = AdminServiceStub(channel)
            asked = admin_service_pb2.ListTenantsRequest(page_size=1_000)
            for tenant in office.ListTenants(asked, metadata=metadata).tenants:
                if tenant.name != TENANT:
                    gone = admin_service_pb2.DeleteTenantRequest(name=tenant.name)
                    office.DeleteTenant(gone, metadata=metadata)

    def alive(self) -> bool:
        """Tell whether its process runs."""
        try:
            status = Path(f"/proc/{self.router.pid}/stat").read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        return status.rpartition(")")[2].split()[0] != "Z"

    def _running(self) -> int:
        root = self.router.engine.removesuffix("/v1")
        with urllib.request.urlopen(f"{root}/metrics", timeout=10) as answer:  # noqa: S310
            found = _RUNNING.search(answer.read().decode())
        return int(float(found[1])) if found else 0

    def _upstream(self) -> int:
        port = int(self.router.engine.removesuffix("/v1").rpartition(":")[2])
        rows = Path(f"/proc/{self.router.pid}/net/tcp").read_text(encoding="utf-8").splitlines()
        columns = [row.split() for row in rows[1:]]
        return sum(c[2].endswith(f":{port:04X}") and c[3] == _ESTABLISHED for c in columns)


def _unexpected(line: str) -> bool:
    """Tell whether a line of the log is none that an event of ours writes, or tells of a crash."""
    if not line.startswith("{"):
        return bool(line.strip())
    return '"event": "call.crashed"' in line or '"exception": ' in line


@contextlib.contextmanager
def fuzzed() -> Iterator[Fuzzed]:
    """Run a router that asks for a key before a fake vLLM without delays; keep its log."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "router.log"
        with secured(folder, scopes=SCOPES, first_token_ms=0, log=log) as router:
            yield Fuzzed(router=router, log=log)
