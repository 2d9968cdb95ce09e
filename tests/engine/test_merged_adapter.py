"""A merge of two reference adapters, made by the recipe and answering on the real vLLM."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.merged_ways import Merge, MergedAsker
from bench.pair_question import read_pair_questions
from tame_router.backends.engine.state import EngineState
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.catalog.expert import Catalog

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]


def test_a_merge_is_an_adapter_like_any_other(merge: Merge) -> None:
    """It has the two files an engine reads, the rank of its sources, and a card."""
    folder = merge.folder
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == "smollm2-135m-instruct"
    assert (config["r"], config["lora_alpha"]) == (4, 4)
    legal = ROOT / "adapters/legal/adapter_config.json"
    source = json.loads(legal.read_text(encoding="utf-8"))
    assert config["target_modules"] == source["target_modules"]
    assert "`linear`" in (folder / "README.md").read_text(encoding="utf-8")


async def test_a_merge_answers_on_vllm(
    merge: Merge, engine: EngineState, engine_key: str, engine_catalog: Catalog
) -> None:
    """The engine serves the merged adapter, and its words are neither expert's own."""
    assert merge.revision.name in engine.revisions
    question = next(q for q in read_pair_questions() if q.id == "legal-medical-07")
    backend = VllmBackend(VllmSpec(base_url=engine.base_url, api_key=engine_key))
    asker = MergedAsker(backend, engine_catalog, max_tokens=24)
    try:
        merged = await asker.ask(merge, question)
        sources = [
            await asker.ask(replace(merge, method="none", revision=live), question)
            for live in (engine_catalog.expert(name).live for name in merge.domains)
            if live is not None
        ]
    finally:
        await backend.close()
    assert merged.fault == ""
    assert merged.completion_tokens > 1
    assert len(sources) == 2
    assert merged.text not in {source.text for source in sources}
