"""The examples in docs/ against a router before the real vLLM: what a user of each SDK meets."""

import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

from tame_router import app
from tame_router.config import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.network]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs/examples"
SHOWN = ("streamed", "wants", "weather", "JSON", "cancelled", "refused model_not_found")


class Addresses(NamedTuple):
    """A router's two ports."""

    grpc: str
    http: str


@pytest.fixture
async def router(engine_settings: Settings) -> AsyncIterator[Addresses]:
    """Run a router before the real vLLM, with both ports."""
    http: list[str] = []
    async with app.running(engine_settings, announce_http=http.append) as grpc:
        yield Addresses(grpc, "".join(http))


@pytest.fixture
def npm_folder(tmp_path: Path) -> Path:
    """Give a folder for a Node example; skip where there is no npm."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    return tmp_path / "example"


async def run(command: list[str], folder: Path, **environment: str) -> str:
    """Run an example to its end, and give what it wrote; it must not fail."""
    everything = {**os.environ, "TAME_API_KEY": "", **environment}
    done = await anyio.run_process(command, cwd=folder, env=everything, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


async def install(example: str, folder: Path) -> None:
    """Install a Node example as its head says."""
    shutil.copytree(EXAMPLES / example, folder)
    await run(["npm", "install", "--silent", "--no-audit"], folder)


@pytest.mark.parametrize("example", ["openai-python", "langchain"])
async def test_python_examples(router: Addresses, example: str) -> None:
    """OpenAI's SDK and LangChain stream, call a tool, get JSON, cancel and are refused."""
    url = f"http://{router.http}/v1"
    written = await run([sys.executable, "ask.py", url], EXAMPLES / example)
    assert [word for word in SHOWN if word not in written] == []


async def test_openai_for_node(router: Addresses, npm_folder: Path) -> None:
    """OpenAI's SDK for Node does the same."""
    await install("openai-node", npm_folder)
    written = await run(["node", "ask.mjs", f"http://{router.http}/v1"], npm_folder)
    assert [word for word in SHOWN if word not in written] == []


async def test_grpc_for_node(router: Addresses, npm_folder: Path) -> None:
    """A client made of the .proto files alone streams an expert's words."""
    await install("node", npm_folder)
    command = ["node", "ask.js", "My landlord keeps my deposit. What can I do?", router.grpc]
    written = await run(command, npm_folder, TAME_PROTOS=str(ROOT / "protos"))
    assert len(written.strip()) > 10
