"""The examples with OpenAI's SDKs and LangChain run against the service, over HTTP."""

import os
import shutil
import sys
from pathlib import Path

import anyio
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.network]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs/examples"
SHOWN = ("streamed", "wants", "weather", "JSON", "cancelled", "refused")


@pytest.fixture
def base_url(request: pytest.FixtureRequest) -> str:
    """Give the address that OpenAI's clients are told, of a router that serves HTTP."""
    try:
        address = request.getfixturevalue("http_url")
    except pytest.FixtureLookupError:
        pytest.skip("this router does not serve HTTP yet")
    return f"http://{str(address).removeprefix('http://').rstrip('/')}/v1"


async def run(command: list[str], folder: Path) -> str:
    """Run an example to its end, and give what it wrote; it must complain about nothing."""
    environment = {**os.environ, "TAME_API_KEY": ""}
    done = await anyio.run_process(command, cwd=folder, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def check(written: str) -> None:
    """Make sure that the example did all that it shows."""
    for word in SHOWN:
        assert word in written


@pytest.mark.parametrize("name", ["openai-python", "langchain"])
async def test_python_examples_run(name: str, base_url: str) -> None:
    """OpenAI's SDK and LangChain stream, call a tool, get JSON, cancel and are refused."""
    check(await run([sys.executable, "ask.py", base_url], EXAMPLES / name))


async def test_the_node_example_runs(base_url: str, tmp_path: Path) -> None:
    """OpenAI's SDK for Node does the same."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    folder = tmp_path / "openai-node"
    shutil.copytree(EXAMPLES / "openai-node", folder)
    await anyio.run_process(["npm", "install", "--silent", "--no-audit"], cwd=folder)
    check(await run(["node", "ask.mjs", base_url], folder))
