"""The examples in the documents do what the documents say."""

import re
import shutil
import sys
from pathlib import Path

import anyio
import pytest
import yaml

from tame_router.config_file import load_settings
from tame_router.errors import TameError
from tests.test_errors import leaves

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
WITH_PYTHON = (README, ROOT / "docs/feedback.md", ROOT / "docs/sdk.md")
DOCUMENTED_ADDRESS = "127.0.0.1:50051"
DOCUMENTED_URL = "http://127.0.0.1:8080"


def blocks(document: Path, language: str) -> list[str]:
    """Give the code blocks of a document that are in a language."""
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "code", [code for document in WITH_PYTHON for code in blocks(document, "python")]
)
async def test_python_in_the_documents_runs(code: str, address: str, http_url: str) -> None:
    """Each Python example runs as it stands, and shows an answer."""
    code = code.replace(DOCUMENTED_ADDRESS, address).replace(DOCUMENTED_URL, http_url)
    done = await anyio.run_process([sys.executable, "-c", code], cwd=ROOT)
    assert re.search(r"legal|medical|general", done.stdout.decode())
    assert done.stderr == b""


@pytest.mark.network
async def test_the_node_example_streams_an_answer(address: str, tmp_path: Path) -> None:
    """The example for Node needs the .proto files and two packages, nothing of ours."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    folder = tmp_path / "node"
    shutil.copytree(ROOT / "docs/examples/node", folder)
    await anyio.run_process(["npm", "install", "--silent", "--no-audit"], cwd=folder)
    command = ["node", "ask.js", "房東不退押金怎麼辦？", address]
    done = await anyio.run_process(
        command, cwd=folder, env={"PATH": _path(), "TAME_PROTOS": str(ROOT / "protos")}
    )
    assert done.stdout.strip()
    assert b"legal" in done.stderr


def _path() -> str:
    node = shutil.which("node")
    return str(Path(node).parent) if node else ""


def test_the_documented_configuration_is_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file in docs/configuration.md can be used as it stands."""
    (text,) = blocks(ROOT / "docs/configuration.md", "yaml")
    file = tmp_path / "tame.yaml"
    file.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    settings = load_settings(file)
    documented = yaml.safe_load(text)
    assert set(documented) == set(type(settings).model_fields)
    assert set(documented["server"]) == set(type(settings.server).model_fields)


def test_every_error_is_documented() -> None:
    """docs/errors.md has one line for each reason, with its status and class."""
    text = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    for leaf in leaves(TameError):
        if "reason" in vars(leaf):
            line = next((row for row in text.splitlines() if f"`{leaf.reason}`" in row), "")
            assert f"`{leaf.__name__}`" in line, leaf.reason


@pytest.mark.parametrize(
    "document", [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link of a document leads to a file that is there."""
    text = document.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not link.startswith("http"):
            assert (document.parent / link).exists(), link
