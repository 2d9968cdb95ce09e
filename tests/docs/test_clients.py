"""Stubs for other languages: buf.gen.yaml is what `buf generate` takes, and gives."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from tests.tls_service import Noting, Pki, noting

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
BUF = Path(sys.executable).with_name("buf")
PROTOS = {path.stem for path in (ROOT / "protos/tame_router/v1").glob("*.proto")}


def template() -> dict[str, Any]:
    """Read buf.gen.yaml."""
    document = yaml.safe_load((ROOT / "buf.gen.yaml").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


async def generate(plugins: list[dict[str, Any]], out: Path) -> None:
    """Run `buf generate` with the template's inputs and options, and plugins of this machine."""
    local = {**template(), "plugins": plugins}
    command = [str(BUF), "generate", "--template", json.dumps(local), "-o", str(out)]
    await anyio.run_process(command, cwd=ROOT)


def test_the_template_names_a_plugin_for_each_language() -> None:
    """Java, Go, TypeScript and Python are generated, from the folder that buf.yaml describes."""
    document = template()
    outs = {plugin["out"] for plugin in document["plugins"]}
    assert outs == {f"gen/{language}" for language in ("java", "go", "typescript", "python")}
    assert all(plugin["remote"].startswith("buf.build/") for plugin in document["plugins"])
    (folder,) = [entry["directory"] for entry in document["inputs"]]
    modules = yaml.safe_load((ROOT / folder / "buf.yaml").read_text(encoding="utf-8"))["modules"]
    assert [module["path"] for module in modules] == ["protos"]
    text = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
    assert all(out in text for out in outs)


async def test_buf_takes_the_template(tmp_path: Path) -> None:
    """With a compiler that is here instead of buf.build's, each proto gives a module."""
    protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    plugin = {"protoc_builtin": "python", "protoc_path": protoc, "out": "gen/python"}
    await generate([plugin], tmp_path)
    made = {path.name for path in (tmp_path / "gen/python/tame_router/v1").iterdir()}
    assert made == {f"{stem}_pb2.py" for stem in PROTOS}


@pytest.mark.network
async def test_typescript_stubs_compile(tmp_path: Path) -> None:
    """What the TypeScript plugin makes with the template's options passes a strict compiler."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    packages = ["@bufbuild/protoc-gen-es@2", "@bufbuild/protobuf@2", "typescript@5"]
    install = ["npm", "install", "--silent", "--no-audit", *packages]
    await anyio.run_process(install, cwd=tmp_path)
    (plugin,) = [p for p in template()["plugins"] if p["out"] == "gen/typescript"]
    del plugin["remote"]
    plugin["local"] = str(tmp_path / "node_modules/.bin/protoc-gen-es")
    await generate([plugin], tmp_path)
    made = tmp_path / "gen/typescript/tame_router/v1"
    assert {path.name for path in made.iterdir()} == {f"{stem}_pb.ts" for stem in PROTOS}
    compiler = tmp_path / "node_modules/.bin/tsc"
    options = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext"]
    await anyio.run_process(
        [str(compiler), *options, str(made / "router_service_pb.ts")], cwd=tmp_path
    )


@pytest.mark.network
async def test_the_node_example_shows_who_calls_over_tls(tmp_path: Path) -> None:
    """Key, authorities and client certificate reach the router; a key in the clear does not."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    pki, noted, folder = Pki(tmp_path), Noting(), tmp_path / "node"
    shutil.copytree(ROOT / "docs/examples/node", folder)
    await anyio.run_process(["npm", "install", "--silent", "--no-audit"], cwd=folder)
    environment = {
        **os.environ,
        "TAME_PROTOS": str(ROOT / "protos"),
        "TAME_API_KEY": "tame_key",
        "TLS_CA": str(pki.ca),
        "TLS_CERT": str(pki.cert),
        "TLS_KEY": str(pki.key),
    }
    async with noting(noted, pki.server_credentials(require_client=True)) as address:
        command = ["node", "ask.js", "hello", address]
        done = await anyio.run_process(command, cwd=folder, env=environment)
    assert done.stdout.decode() == "here\n"
    assert noted.calls[0][1]["authorization"] == ["Bearer tame_key"]
    assert noted.peers == [b"his"]
    del environment["TLS_CA"]
    command[-1] = "tame.example:50051"
    refused = await anyio.run_process(command, cwd=folder, env=environment, check=False)
    assert refused.returncode == 1
    assert b"without TLS" in refused.stderr
