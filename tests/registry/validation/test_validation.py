"""Uploads that are taken, and what is noted of them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tame_router.config_registry import RegistrySettings
from tame_router.registry.manifest import FileEntry
from tame_router.registry.reason import Reason
from tame_router.registry.validation.base_model import BaseModelShape, read_base_model
from tame_router.registry.validation.folder import check_folder
from tame_router.registry.validation.rules import Rules, make_rules
from tame_router.registry.validation.validation import Validation
from tests.registry.validation.hostile_texts import CASE, new_expert
from tests.registry.validation.upload import (
    EXPERT,
    RULES,
    base_model,
    fatal,
    name,
    numbers,
    small_tensors,
    small_upload,
)

ROOT = Path(__file__).resolve().parents[3]
SMOLLM2 = {
    "architectures": ["LlamaForCausalLM"],
    "head_dim": 64,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_hidden_layers": 30,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
    "vocab_size": 49152,
}
"""The embedded base model's configuration, of which the reference adapters are made."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModelShape:
    """Give a small base model."""
    return base_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> BaseModelShape:
    """Give the shape of the embedded base model, with the digest that its set-up gives it."""
    folder = tmp_path_factory.mktemp("base") / "smollm2-135m-instruct"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SMOLLM2), encoding="utf-8")
    facts = json.loads((ROOT / "adapters/legal/training.json").read_bytes())
    card = {"digest": facts["base_model_digest"]}
    (folder / "base_model.json").write_text(json.dumps(card), encoding="utf-8")
    return read_base_model(folder)


def real_rules() -> Rules:
    """Give the rules of the settings as they are."""
    names = ["", "HuggingFaceTB/SmolLM2-135M-Instruct"]
    return make_rules(RegistrySettings(), engine_rank=16, base_models=names)


@pytest.mark.parametrize("domain", ["legal", "medical", "electronics", "manufacturing"])
def test_reference_adapters_are_taken(domain: str, smollm2: BaseModelShape) -> None:
    """The reference adapters pass without a note."""
    validation = Validation(real_rules(), smollm2)
    assert check_folder(validation, domain, ROOT / "adapters" / domain) == []


def test_an_adapter_of_another_base_model_is_told(tmp_path: Path, smollm2: BaseModelShape) -> None:
    """The same name is not enough: training.json tells another digest."""
    folder = shutil.copytree(ROOT / "adapters/legal", tmp_path / "legal")
    facts = json.loads((folder / "training.json").read_bytes())
    (folder / "training.json").write_text(
        json.dumps({**facts, "base_model_digest": "0" * 64}), encoding="utf-8"
    )
    findings = check_folder(Validation(real_rules(), smollm2), "legal", folder)
    assert fatal(findings) == {Reason.BASE_MODEL_DIGEST}


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("piece_bytes", [5, 4096])
def test_each_kind_of_number(dtype: str, piece_bytes: int, base: BaseModelShape) -> None:
    """All three kinds are taken, however the bytes are cut."""
    assert small_upload(small_tensors(dtype)).send(base, piece_bytes) == []


def test_embeddings_are_taken_where_engines_adapt_them(base: BaseModelShape) -> None:
    """An embedding has its own names, the output layer those of a linear one."""
    prefix = "base_model.model."
    tensors = {
        **small_tensors(),
        f"{prefix}model.embed_tokens.lora_embedding_A": numbers(2, 32),
        f"{prefix}model.embed_tokens.lora_embedding_B": numbers(8, 2),
        f"{prefix}lm_head.lora_A.weight": numbers(2, 8),
        f"{prefix}lm_head.lora_B.weight": numbers(32, 2),
    }
    targets = ["q_proj", "v_proj", "down_proj", "embed_tokens", "lm_head"]
    assert small_upload(tensors, {"target_modules": targets}).send(base) == []


def test_dora_is_taken_where_the_fleet_serves_it(base: BaseModelShape) -> None:
    """Every module then has a magnitude, and one that lacks it is told."""
    magnitudes = {
        key.replace("lora_B.weight", "lora_magnitude_vector"): numbers(tensor[1][0])
        for key, tensor in small_tensors().items()
        if key.endswith("lora_B.weight")
    }
    rules = replace(RULES, variants=frozenset({"dora"}))
    upload = small_upload({**small_tensors(), **magnitudes}, {"use_dora": True})
    assert replace(upload, rules=rules).send(base) == []
    magnitudes.popitem()
    upload = small_upload({**small_tensors(), **magnitudes}, {"use_dora": True})
    assert fatal(replace(upload, rules=rules).send(base)) == {Reason.TENSOR_MISSING}


def test_ranks_by_pattern(base: BaseModelShape) -> None:
    """A module that a pattern gives another rank has tensors of that rank."""
    tensors = {
        **small_tensors(),
        name(1, "self_attn.q_proj", "lora_A.weight"): numbers(5, 8),
        name(1, "self_attn.q_proj", "lora_B.weight"): numbers(8, 5),
    }
    assert fatal(small_upload(tensors).send(base)) == {Reason.TENSOR_SHAPE}
    config = {"rank_pattern": {"layers.1.self_attn.q_proj": 5}}
    assert small_upload(tensors, config).send(base) == []


def test_a_base_model_not_known(base: BaseModelShape) -> None:
    """Without a base model names and ranks are checked still, and shapes as far as they go."""
    upload = small_upload(
        {name(7, "a.b_proj", p): numbers(2, 2) for p in ("lora_A.weight", "lora_B.weight")},
        {"target_modules": ["b_proj"]},
    )
    assert upload.send(None) == []
    unknown = replace(base, modules={}, digests=frozenset())
    assert replace(upload, base_model_digest="a" * 64).send(unknown) == []
    wrong = {name(7, "a.b_proj", p): numbers(3, 3) for p in ("lora_A.weight", "lora_B.weight")}
    assert fatal(small_upload(wrong, {"target_modules": ["b_proj"]}).send(None)) == {
        Reason.TENSOR_SHAPE
    }


def test_the_right_digest_is_taken(base: BaseModelShape) -> None:
    """The digest may be said by the upload or by training.json, and then no other is wanted."""
    rules = replace(RULES, require_base_model_digest=True)
    (digest,) = base.digests
    said = replace(small_upload(), rules=rules, base_model_digest=digest)
    assert said.send(base) == []
    facts = {"training.json": json.dumps({"base_model_digest": digest}).encode()}
    assert replace(small_upload(more=facts), rules=rules).send(base) == []


def test_a_missing_card_is_a_note(base: BaseModelShape) -> None:
    """An adapter without a card, or with an empty one, is taken, and told."""
    upload = small_upload(more={"README.md": b" \n"})
    (note,) = upload.send(base)
    assert (note.reason, note.fatal) == (Reason.CARD_MISSING, False)
    del upload.files["README.md"]
    (note,) = upload.send(base)
    assert (note.reason, note.fatal) == (Reason.CARD_MISSING, False)


def test_an_evaluation_set_comes_along(base: BaseModelShape) -> None:
    """An expert that is there may bring cases of its own and a signature."""
    more = {"evaluation.jsonl": json.dumps(CASE).encode(), "model.sig": b"{}"}
    assert small_upload(more=more).send(base) == []


def test_faults_of_a_file_are_counted_not_listed(base: BaseModelShape) -> None:
    """Of a thousand wrong lines five are told, and how many more there are."""
    findings = small_upload(more={"evaluation.jsonl": b"x\n" * 1000}).send(base)
    assert len(findings) == 6
    assert "995 more" in findings[-1].message


def test_a_new_expert(base: BaseModelShape) -> None:
    """Adapter, lines, cases, prompt and description make an expert; known ones keep theirs."""
    joint = b"medical: Can I sue the hospital?\n"
    upload = new_expert(joint__en__txt=joint)
    assert upload.send(base) == []
    notes = replace(upload, new_expert=False).send(base)
    assert fatal(notes) == set()
    assert {note.reason for note in notes} == {Reason.FILE_UNEXPECTED}
    assert len(notes) == 4


def test_the_configuration_may_come_last(base: BaseModelShape) -> None:
    """The order of the files changes nothing."""
    upload = small_upload(config={"r": 4})
    upload.files = dict(reversed(upload.files.items()))
    assert fatal(upload.send(base)) == {Reason.TENSOR_SHAPE}


PATHS = st.text(max_size=12) | st.sampled_from(
    ["adapter_config.json", "adapter_model.safetensors", "README.md", "../x", "/x", "a/b"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(PATHS, st.integers(-(2**70), 2**70)), max_size=5), st.binary(max_size=9))
def test_any_announcement(
    base: BaseModelShape, announced: list[tuple[str, int]], data: bytes
) -> None:
    """Whatever is announced and sent, there are findings and no crash; only known paths pass."""
    validation = Validation(RULES, base)
    files = [FileEntry(path=path, size_bytes=size, sha256="") for path, size in announced]
    findings = validation.announced(EXPERT, files)
    unknown = {path for path, _ in announced} - {
        "adapter_config.json",
        "adapter_model.safetensors",
        "README.md",
    }
    refused = fatal(findings)
    assert bool(unknown) <= bool(refused)
    for path, _ in announced:
        validation.feed(path, data)
    validation.finished()
