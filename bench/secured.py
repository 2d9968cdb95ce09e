"""A router as an operator runs it, for benchmarks: keys, limits, audit; a fake vLLM behind."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.overhead import FIRST_TOKEN_MS, ROOT, child
from tame_router import app
from tame_router.config_file import load_settings
from tame_router.trained_router import build_router

TENANT = "bench"
PLENTY = "1000000000"
"""Limits are counted and never met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """A running router that asks for a key.

    Attributes:
        grpc: Its gRPC address.
        http: Its HTTP address.
        engine: Address of the fake vLLM, with its `/v1`.
        key: A key with the scopes that were asked for.
        pid: Its process.
    """

    grpc: str
    http: str
    engine: str
    key: str
    pid: int


def tame(environment: Mapping[str, str], *arguments: str) -> str:
    """Run a command of `tame`, and give what it wrote.

    Raises:
        CalledProcessError: When it failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tame_router", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def make_tenant(environment: Mapping[str, str], scopes: str) -> str:
    """Make a tenant that may use every expert within limits it never meets, and give its key."""
    tame(
        environment,
        "tenant",
        "create",
        TENANT,
        "--grant=*",
        f"--requests-per-minute={PLENTY}",
        f"--requests-per-day={PLENTY}",
        f"--tokens-per-minute={PLENTY}",
        f"--tokens-per-day={PLENTY}",
    )
    made = tame(environment, "tenant", "key", "create", TENANT, f"--scopes={scopes}", "--json")
    key: str = json.loads(made)["key"]
    return key


@contextlib.contextmanager
def secured(
    folder: Path,
    *,
    scopes: str = "chat",
    first_token_ms: float = FIRST_TOKEN_MS,
    log: Path | None = None,
) -> Iterator[Secured]:
    """Run a router that asks for a key, and give it.

    Args:
        folder: Its store lies here.
        scopes: What the key is for.
        first_token_ms: Time the fake vLLM takes before it writes.
        log: File for the router's log; None: it is thrown away.
    """
    settings = load_settings()
    catalog = app.build_catalog(settings)
    build_router(settings, catalog)  # trained ahead, as in service
    revisions = [e.live_revision for e in catalog.experts.values() if e.live]
    fake = ["tests.fakes.vllm", f"--first-token-ms={first_token_ms}", "--tokens=16"]
    fake += [f"--adapter={name}" for name in revisions]
    store = {"TAME_STORE__URL": f"sqlite:///{folder / 'tame.db'}"}
    key = make_tenant(store, scopes)
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(child(fake, {}, '{"base_url": ')).address
        environment = {
            **store,
            "TAME_BACKENDS__LOCAL__BASE_URL": engine,
            "TAME_SERVER__PORT": "0",
            "TAME_HTTP__PORT": "0",
        }
        serve = ["tame_router", "serve"]
        router = stack.enter_context(
            child(serve, environment, "serving on ", "serving HTTP on ", log)
        )
        yield Secured(
            grpc=router.address,
            http=router.http,
            engine=engine,
            key=key,
            pid=router.pid,
        )
