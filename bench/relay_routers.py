"""The routers that are held against each other: how each is installed, started and asked."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bench.overhead import child
from bench.relay_lines import grpc_request, http_request
from bench.relay_load import STREAMS_PER_CONNECTION, Way
from deploy.local.logged_command import InstallError, run, say
from tame_router.client.async_client import AsyncClient
from tame_router.v1 import chat_pb2, router_service_pb2
from tests.fakes.vllm import BASE_MODEL

VLLM_ROUTER: Final = "vllm-router==0.1.17"
LITELLM: Final = "litellm[proxy]==1.108.7"
START_TIMEOUT_S: Final = 180
ENCODER_TIMEOUT_S: Final = 60
FAST: Final = "fast"
MOST: Final = "20000"
"""Answers and connections at once: more than are asked for, for all routers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """A router that runs.

    Attributes:
        pid: Its process; children count too.
        ways: How it is asked, by the name of the figures.
    """

    pid: int
    ways: dict[str, Way]


def chat_body(model: str, question: str) -> bytes:
    """Write the body of a question for the OpenAI API; the end tells the tokens."""
    return json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": question}],
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        ensure_ascii=False,
    ).encode()


def http_way(address: str, model: str, questions: Sequence[str]) -> Way:
    """Give the way to ask over HTTP."""
    bodies = [chat_body(model, question) for question in questions]
    return Way(address=address, requests=[http_request(address, body) for body in bodies])


def grpc_way(address: str, questions: Sequence[str], streams: int = STREAMS_PER_CONNECTION) -> Way:
    """Give the way to ask our gRPC port, with so many answers at once on a connection."""
    messages = [
        router_service_pb2.StreamChatRequest(
            messages=[chat_pb2.Message(role=chat_pb2.ROLE_USER, content=question)]
        ).SerializeToString()
        for question in questions
    ]
    requests = [grpc_request(address, one) for one in messages]
    return Way(address=address, requests=requests, grpc=True, streams=streams)


async def fast_questions(address: str, texts: Sequence[str], *, encoder: bool) -> list[str]:
    """Give the questions that our router decides by words alone, and asks one expert.

    Args:
        address: Its gRPC address.
        texts: Those to choose from.
        encoder: There is one: which questions do without is known once it is loaded, which is
            waited for.
    """
    until = time.monotonic() + ENCODER_TIMEOUT_S
    async with AsyncClient(address) as client:
        while True:
            decisions = [(text, await client.route(text)) for text in texts]
            stages = {made.stage for _, made in decisions}
            if not encoder or len(stages) > 1 or time.monotonic() > until:
                break
            await asyncio.sleep(0.5)
    return [text for text, made in decisions if made.stage == FAST and len(made.experts) == 1]


@contextlib.contextmanager
def tame(urls: Sequence[str], folder: Path, workers: int = 0) -> Iterator[tuple[int, str, str]]:
    """Run ours, and give its process, its gRPC address and its HTTP address.

    Args:
        urls: The servers behind it.
        folder: For its database.
        workers: Processes that serve; 0: one, with none that sees to it.
    """
    backend = {"TAME_BACKENDS__LOCAL__BASE_URLS": json.dumps(urls)}
    backend["TAME_BACKENDS__LOCAL__MAX_CONNECTIONS"] = MOST
    backend["TAME_BACKENDS__LOCAL__STALL_TIMEOUT_S"] = "600"
    # The others hold nobody back; ours would, where so many ask a server that was never seen.
    backend["TAME_BACKENDS__LOCAL__QUEUE__LIMIT__START"] = MOST
    backend["TAME_BACKENDS__LOCAL__QUEUE__LIMIT__MAX"] = MOST
    environment = {
        **backend,
        "TAME_SERVER__PORT": "0",
        "TAME_SERVER__INSECURE": "true",  # loopback only; the others ask for no key either
        "TAME_SERVER__MAX_ANSWERS": MOST,
        "TAME_SERVER__WORKERS": str(workers),
        "TAME_HTTP__PORT": "0",
        "TAME_HTTP__MAX_CONNECTIONS": MOST,
        "TAME_STORE__URL": f"sqlite:///{folder / f'relay{workers}.db'}",
    }
    serve = ["tame_router", "serve"]
    with child(serve, environment, "serving on ", "serving HTTP on ") as process:
        yield process.pid, process.address, process.http


def environment_of(folder: Path, wanted: str, program: str) -> Path:
    """Make a peer's environment where it is not, and give its program.

    Raises:
        InstallError: When it cannot be made.
    """
    found, stamp = folder / "venv" / "bin" / program, folder / "installed.txt"
    if found.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return found
    say(f"making the environment of {wanted} in {folder} (a minute or two)")
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "install.log"
    run(log, [sys.executable, "-m", "venv", "--clear", str(folder / "venv")], "making it")
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install"]
    run(log, [*pip, "--disable-pip-version-check", wanted], "installing it")
    stamp.write_text(wanted, encoding="utf-8")
    return found


@contextlib.contextmanager
def vllm_router(state: Path, urls: Sequence[str], questions: Sequence[str]) -> Iterator[Router]:
    """Run vllm-router with its defaults.

    Raises:
        InstallError: When it cannot be installed, or does not start.
    """
    program = environment_of(state / "vllm-router", VLLM_ROUTER, "vllm-router")
    port, metrics = _free_port(), _free_port()
    command = [str(program), "--host", "127.0.0.1", f"--port={port}"]
    command += [f"--prometheus-port={metrics}", "--worker-urls"]
    command += [url.removesuffix("/v1") for url in urls]
    with _running(command, f"127.0.0.1:{port}", "/health", state / "vllm-router") as pid:
        ways = {"vllm_router": http_way(f"127.0.0.1:{port}", BASE_MODEL, questions)}
        yield Router(pid=pid, ways=ways)


@contextlib.contextmanager
def litellm(state: Path, urls: Sequence[str], questions: Sequence[str]) -> Iterator[Router]:
    """Run the LiteLLM proxy with its defaults.

    Raises:
        InstallError: When it cannot be installed, or does not start.
    """
    program = environment_of(state / "litellm", LITELLM, "litellm")
    deployments = [
        {
            "model_name": BASE_MODEL,
            "litellm_params": {
                "model": f"hosted_vllm/{BASE_MODEL}",
                "api_base": url,
                "api_key": "none",
            },
        }
        for url in urls
    ]
    config = state / "litellm" / "config.json"  # JSON is YAML
    config.write_text(json.dumps({"model_list": deployments}), encoding="utf-8")
    port = _free_port()
    command = [str(program), f"--config={config}", "--host=127.0.0.1", f"--port={port}"]
    environment = {
        # On loopback only: it would not start without a key, and no router asks for one here.
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # it would be fetched
    }
    address, folder = f"127.0.0.1:{port}", state / "litellm"
    with _running(command, address, "/health/liveliness", folder, environment) as pid:
        ways = {"litellm": http_way(address, BASE_MODEL, questions)}
        yield Router(pid=pid, ways=ways)


PEERS: Final[dict[str, Callable[..., contextlib.AbstractContextManager[Router]]]] = {
    "vllm_router": vllm_router,
    "litellm": litellm,
}


@contextlib.contextmanager
def _running(
    command: Sequence[str],
    address: str,
    path: str,
    folder: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[int]:
    """Run a peer, wait until it answers, and give its process."""
    with (folder / "run.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    try:
        until = time.monotonic() + START_TIMEOUT_S
        while not _answers(f"http://{address}{path}"):
            if process.poll() is not None or time.monotonic() > until:
                raise InstallError(f"it did not start; its log: {folder / 'run.log'}")
            time.sleep(0.1)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    """Give a port that is free now: the peers cannot be told to take any."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
