"""Adapters that a real vLLM loads by the name of a revision, and all that it refuses to load."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tame_router.backends.engine.state import EngineState
from tame_router.backends.fleet import Fleet
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.catalog.expert import Catalog
from tame_router.errors_registry import RolloutError
from tests.engine.conftest import ROOT
from tests.fakes.generations import generation, read, text_of
from tests.vllm_plugin.revisions import keep, spoil

pytestmark = pytest.mark.anyio

WEIGHTS = "adapter_model.safetensors"
QUESTION = "My landlord keeps my deposit after I moved out. What can I do?"


class Loaded:
    """The engine, and the store that it loads from."""

    def __init__(self, engine: EngineState, key: str, folder: Path) -> None:
        self.folder = folder
        self.root = engine.base_url.removesuffix("/v1")
        self.headers = {"Authorization": f"Bearer {key}"}
        self.backend = VllmBackend(VllmSpec(base_url=engine.base_url, api_key=key))
        self.fleet = Fleet({"local": self.backend})

    def files(self) -> dict[str, bytes]:
        """Give the files of the reference adapter for law."""
        adapter = ROOT / "adapters" / "legal"
        return {name: (adapter / name).read_bytes() for name in ("adapter_config.json", WEIGHTS)}

    def keep(self, note: str = "", expert: str = "legal") -> str:
        """Put it into the store, and give its name."""
        store, aside = self.folder / "store", self.folder / "aside"
        return keep(store, aside, expert=expert, files=self.files(), note=note)

    async def prepare(self, name: str) -> None:
        """Have the engine load a revision and answer."""
        deadline = asyncio.get_running_loop().time() + 120
        await self.fleet.prepare("local", name, deadline)

    async def models(self) -> set[str]:
        """Give the names that the engine serves."""
        status, body = await self.ask("GET", "/v1/models")
        assert status == 200
        return {card["id"] for card in body["data"]}

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send one request, and give status and body of the answer."""
        async with (
            aiohttp.ClientSession(headers=self.headers) as session,
            session.request(method, self.root + path, json=body) as answer,
        ):
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def write(self, name: str) -> str:
        """Have a short answer written under a name, by the likeliest tokens."""
        asked = generation(text=QUESTION, revision=name, max_tokens=16, temperature=0.0)
        return text_of(await read(self.backend, asked))


@pytest.fixture
async def loaded(engine: EngineState, engine_key: str) -> AsyncIterator[Loaded]:
    """Give the engine."""
    loaded = Loaded(engine, engine_key, Path(engine.log_path).parent)
    yield loaded
    await loaded.backend.close()


async def test_a_revision_is_loaded_by_its_name(loaded: Loaded, engine_catalog: Catalog) -> None:
    """From the store to the engine by one request, and it writes what the same bytes wrote."""
    name = loaded.keep(note="loaded by name")
    assert name not in await loaded.models()
    await loaded.prepare(name)
    assert loaded.fleet.loaded("local", name)
    assert name in await loaded.models()
    live = engine_catalog.expert("legal").live_revision
    assert live is not None
    assert await loaded.write(name) == await loaded.write(live)
    assert await loaded.write(name) != await loaded.write("")


async def test_what_was_put_out_of_memory_is_read_again(loaded: Loaded) -> None:
    """More revisions than the engine keeps in memory: the first one still answers the same."""
    names = [loaded.keep(note=str(number)) for number in range(9)]
    await loaded.prepare(names[0])
    words = await loaded.write(names[0])
    for name in names[1:]:
        await loaded.prepare(name)
    assert await loaded.write(names[0]) == words


async def test_nothing_else_is_loaded(loaded: Loaded) -> None:
    """Paths, unknown digests, rotten bytes and other people's adapters stay out."""
    for place in (loaded.folder, loaded.folder / "copies"):
        shutil.copytree(ROOT / "adapters" / "legal", place / "legal", dirs_exist_ok=True)
    other = loaded.keep(expert="chemistry")
    before = await loaded.models()
    for name in (
        "../legal",
        "legal",
        "copies/legal",
        str(ROOT / "adapters" / "legal"),
        "legal--0123456789abcdef",
        "../legal--0123456789abcdef",
        other,
    ):
        body = {"model": name, "messages": [{"role": "user", "content": "?"}], "max_tokens": 1}
        status, answer = await loaded.ask("POST", "/v1/chat/completions", body)
        assert (status, answer["error"]["param"]) == (404, "model"), name
        with pytest.raises(RolloutError, match="ADAPTER_NOT_LOADED"):
            await loaded.prepare(name)
    assert await loaded.models() == before


async def test_rotten_bytes_are_not_served_and_raise_an_alarm(loaded: Loaded) -> None:
    """A revision that is not what its digest says is refused, in the log by name."""
    name = keep(
        loaded.folder / "store",
        loaded.folder / "aside",
        files={**loaded.files(), "adapter_config.json": b"{ }"},
    )
    spoil(loaded.folder / "store", b"{ }")
    with pytest.raises(RolloutError, match="ADAPTER_NOT_LOADED"):
        await loaded.prepare(name)
    assert name not in await loaded.models()
    log = (loaded.folder / "engine.log").read_text("utf-8")
    assert f"ALARM: {name} is not served" in log


async def test_what_the_engine_cannot_load_is_told(loaded: Loaded) -> None:
    """A rank above the engine's limit is refused by the engine, and is no answer to anybody."""
    files = loaded.files()
    config = json.loads(files["adapter_config.json"])
    files["adapter_config.json"] = json.dumps({**config, "r": 64}).encode()
    name = keep(loaded.folder / "store", loaded.folder / "aside", files=files)
    with pytest.raises(RolloutError, match="ADAPTER_NOT_LOADED"):
        await loaded.prepare(name)
    assert name not in await loaded.models()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/load_lora_adapter"),
        ("POST", "/v1/load_lora_adapter/"),
        ("POST", "/v1/load%5Flora_adapter"),
        ("POST", "/v1/unload_lora_adapter"),
        ("GET", "/v1/load_lora_adapter"),
        ("POST", "/adapters"),
        ("DELETE", "/adapters/legal"),
    ],
)
async def test_the_other_doors_are_closed(
    loaded: Loaded, engine: EngineState, method: str, path: str
) -> None:
    """With the key, and a folder that is there, nothing is loaded or unloaded but by name."""
    before = await loaded.models()
    body = {
        "lora_name": engine.revisions[0] if "unload" in path else "mine",
        "lora_path": str(ROOT / "adapters" / "legal"),
        "name": "mine",
        "src": str(ROOT / "adapters" / "legal"),
    }
    status, answer = await loaded.ask(method, path, body)
    assert status == 403
    assert "tame adapter" in answer["error"]["message"]
    assert await loaded.models() == before
