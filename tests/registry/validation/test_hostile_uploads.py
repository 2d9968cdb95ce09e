"""Uploads that are hostile or broken: each is refused, for the one reason that is right."""

import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace

import pytest

from tame_router.registry.manifest import FileEntry
from tame_router.registry.reason import Reason
from tame_router.registry.validation.base_model import BaseModelShape
from tame_router.registry.validation.validation import Validation
from tests.registry.validation.upload import (
    CONFIG,
    EXPERT,
    RULES,
    WEIGHTS,
    Tensors,
    Upload,
    base_model,
    described,
    entry,
    fatal,
    framed,
    name,
    numbers,
    packed,
    small_tensors,
    small_upload,
)

Q = name(0, "self_attn.q_proj", "lora_A.weight")
Q_UP = name(0, "self_attn.q_proj", "lora_B.weight")
EXPERT_YAML = """
name: legal
titles: {zh-TW: 法律, en: Legal}
descriptions: {zh-TW: 法律問題, en: Questions of law}
backend: local
"""
CASE = {
    "id": "e1",
    "lang": "en",
    "kind": "choice",
    "question": "2 + 2?",
    "choices": ["3", "4"],
    "answer": 1,
}
NEW_EXPERT = {
    "expert.yaml": EXPERT_YAML.encode(),
    "prompt.md": "你是法律專家。".encode(),
    "evaluation.jsonl": json.dumps(CASE).encode(),
    "utterances.en.txt": b"Can my landlord keep the deposit?\n",
}


def with_file(path: str, data: bytes = b"something") -> Upload:
    """Add a file to the small upload."""
    return small_upload(**{path: data})


def without(path: str) -> Upload:
    """Leave a file out of the small upload."""
    upload = small_upload()
    del upload.files[path]
    return upload


def configured(**changed: object) -> Upload:
    """Change the small adapter's configuration."""
    return small_upload(config=changed)


def raw_config(text: bytes) -> Upload:
    """Send other bytes as its configuration."""
    return small_upload(**{CONFIG: text})


def headed(header: str | bytes, data: bytes = b"") -> Upload:
    """Send weights with that header."""
    encoded = header.encode() if isinstance(header, str) else header
    return small_upload(weights=framed(encoded, data))


def described_as(key: str = Q, **changed: object) -> Upload:
    """Describe one tensor otherwise than it is."""
    tensors = small_tensors()
    document = described(tensors)
    document[key] = {**document[key], **changed}
    data = b"".join(tensor[2] for tensor in tensors.values())
    return headed(json.dumps(document), data)


def tensors_with(changed: Tensors) -> Upload:
    """Change, or add, tensors of the small adapter."""
    return small_upload(tensors={**small_tensors(), **changed})


def tensors_without(*keys: str) -> Upload:
    """Take tensors away."""
    return small_upload(tensors={k: v for k, v in small_tensors().items() if k not in keys})


def poisoned(value: float, dtype: str = "F32") -> Upload:
    """Put one number among those of a tensor."""
    kind, shape, data = small_tensors(dtype)[Q]
    one = numbers(1, value=value, dtype=dtype)[2]
    return small_upload(tensors={**small_tensors(dtype), Q: (kind, shape, data[: -len(one)] + one)})


def announced_otherwise(difference: int) -> Upload:
    """Announce the card with another size than it has."""
    upload = small_upload()
    upload.announced = tuple(
        replace(file, size_bytes=file.size_bytes + difference * (file.path == "README.md"))
        for file in upload.entries()
    )
    return upload


def announced_twice() -> Upload:
    """Announce the configuration two times."""
    upload = small_upload()
    upload.announced = (*upload.entries(), entry(CONFIG, upload.files[CONFIG]))
    return upload


def pickled_weights() -> Upload:
    """Send a pickle under the name of the weights."""
    return small_upload(weights=pickle.dumps({"weight": list(range(1000))}))


def torch_weights() -> Upload:
    """Send what PyTorch writes, a ZIP archive of pickles, under the name of the weights."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([1]) * 100)
    return small_upload(weights=made.getvalue())


def archived_weights() -> Upload:
    """Send a ZIP archive under the name of the weights."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("adapter_model.safetensors", b"x" * 200)
    return small_upload(weights=made.getvalue())


def gzipped_weights() -> Upload:
    """Send a compressed archive under the name of the weights."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("x"), io.BytesIO(b""))
    return small_upload(weights=made.getvalue())


def new_expert(**changed: bytes | None) -> Upload:
    """Send an adapter that makes an expert; None leaves a file out."""
    files = {**NEW_EXPERT, **{key.replace("__", "."): data for key, data in changed.items()}}
    upload = small_upload(**{path: data for path, data in files.items() if data is not None})
    return replace(upload, new_expert=True)


def many_tensors() -> Upload:
    """Send ten thousand and one tensors."""
    return small_upload(tensors={f"t{n}": numbers(1) for n in range(10_001)})


def embedding(part: str, *shape: int) -> Upload:
    """Adapt the embedding."""
    targets = ["q_proj", "v_proj", "down_proj", "embed_tokens"]
    other = {"A": "B", "B": "A"}[part]
    names = {p: f"base_model.model.model.embed_tokens.lora_embedding_{p}" for p in "AB"}
    good = {"A": (2, 32), "B": (8, 2)}
    tensors = {names[part]: numbers(*shape), names[other]: numbers(*good[other])}
    return small_upload({**small_tensors(), **tensors}, {"target_modules": targets})


def bomb() -> str:
    """Write ten lines of YAML that stand for ten billion values."""
    lines = ["a0: &a0 x"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 11)]
    return "\n".join(lines)


ONE = json.dumps({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})
FOUR = b"\0" * 4

HOSTILE: dict[str, tuple[Callable[[], Upload], Reason]] = {
    # Paths
    "an absolute path": (lambda: with_file("/etc/passwd"), Reason.PATH_UNSAFE),
    "a path upwards": (lambda: with_file("../adapter_config.json"), Reason.PATH_UNSAFE),
    "a path up and down": (lambda: with_file("a/../../b.json"), Reason.PATH_UNSAFE),
    "a dot": (lambda: with_file("./README.md"), Reason.PATH_UNSAFE),
    "a backslash": (lambda: with_file("..\\legal\\x"), Reason.PATH_UNSAFE),
    "a drive": (lambda: with_file("C:config"), Reason.PATH_UNSAFE),
    "a home": (lambda: with_file("~/.ssh/key"), Reason.PATH_UNSAFE),
    "no path": (lambda: with_file(""), Reason.PATH_UNSAFE),
    "a NUL": (lambda: with_file("README.md\0.bin"), Reason.PATH_UNSAFE),
    "a line break": (lambda: with_file("README.md\n"), Reason.PATH_UNSAFE),
    "a folder's slash": (lambda: with_file("adapter/"), Reason.PATH_UNSAFE),
    "two slashes": (lambda: with_file("a//b"), Reason.PATH_UNSAFE),
    "a hidden file": (lambda: with_file(".bashrc"), Reason.PATH_UNSAFE),
    "a look-alike letter": (lambda: with_file("аdapter_config.json"), Reason.PATH_UNSAFE),
    "right to left": (lambda: with_file("\u202enosj.gifnoc"), Reason.PATH_UNSAFE),
    "a dot behind": (lambda: with_file("README.md."), Reason.PATH_UNSAFE),
    "a long path": (lambda: with_file("a" * 256), Reason.PATH_UNSAFE),
    "a path twice": (announced_twice, Reason.PATH_TWICE),
    # Kinds of files
    "a PyTorch file": (lambda: with_file("adapter_model.bin"), Reason.PICKLE_REFUSED),
    "a pickle": (lambda: with_file("optimizer.pkl"), Reason.PICKLE_REFUSED),
    "a pickle in capitals": (lambda: with_file("WEIGHTS.PT"), Reason.PICKLE_REFUSED),
    "a pickle as weights": (pickled_weights, Reason.PICKLE_REFUSED),
    "PyTorch's as weights": (torch_weights, Reason.PICKLE_REFUSED),
    "an archive": (lambda: with_file("adapter.tar.gz"), Reason.ARCHIVE_REFUSED),
    "an archive as weights": (archived_weights, Reason.ARCHIVE_REFUSED),
    "a gzip as weights": (gzipped_weights, Reason.ARCHIVE_REFUSED),
    "code": (lambda: with_file("modeling_legal.py"), Reason.FILE_UNEXPECTED),
    "a tokenizer": (lambda: with_file("tokenizer.json"), Reason.FILE_UNEXPECTED),
    "a checkpoint below": (
        lambda: with_file("checkpoint-9/adapter_model.safetensors"),
        Reason.FILE_UNEXPECTED,
    ),
    "no configuration": (lambda: without(CONFIG), Reason.FILE_MISSING),
    "no weights": (lambda: without(WEIGHTS), Reason.FILE_MISSING),
    "an empty file": (lambda: with_file("model.sig", b""), Reason.FILE_EMPTY),
    "a large text": (lambda: with_file("training.json", b" " * (2**20 + 1)), Reason.FILE_TOO_LARGE),
    "large weights": (
        lambda: replace(small_upload(), rules=replace(RULES, max_file_bytes=500)),
        Reason.FILE_TOO_LARGE,
    ),
    "too many files": (
        lambda: small_upload(**{f"file{n}.json": b"x" for n in range(64)}),
        Reason.TOO_MANY_FILES,
    ),
    "too much": (
        lambda: replace(small_upload(), rules=replace(RULES, max_upload_bytes=500)),
        Reason.UPLOAD_TOO_LARGE,
    ),
    "fewer bytes than announced": (lambda: announced_otherwise(8), Reason.SIZE_MISMATCH),
    # Headers
    "no header": (lambda: small_upload(weights=b"\1\0\0"), Reason.HEADER_TRUNCATED),
    "a header beyond the file": (
        lambda: small_upload(weights=struct.pack("<Q", 999) + b"{}"),
        Reason.HEADER_TRUNCATED,
    ),
    "a header of 2 GiB": (
        lambda: small_upload(weights=struct.pack("<Q", 2**31) + b"{" * 1000),
        Reason.HEADER_TOO_LARGE,
    ),
    "a header of 2^64 bytes": (
        lambda: small_upload(weights=b"\xff" * 8 + b"{}"),
        Reason.HEADER_TOO_LARGE,
    ),
    "an empty header": (lambda: headed(""), Reason.HEADER_NOT_JSON),
    "no JSON": (lambda: headed("{not json}"), Reason.HEADER_NOT_JSON),
    "a list": (lambda: headed("[1]"), Reason.HEADER_NOT_JSON),
    "a blank before": (lambda: headed(" {}"), Reason.HEADER_NOT_JSON),
    "a mark before": (lambda: headed("\ufeff{}"), Reason.HEADER_NOT_JSON),
    "UTF-16": (lambda: headed('{"a":1}'.encode("utf-16-le")), Reason.HEADER_NOT_JSON),
    "half a character": (lambda: headed(f'{{"\\ud800":{ONE}}}', FOUR), Reason.HEADER_NOT_JSON),
    "not UTF-8": (lambda: headed(b'{"\xff":1}'), Reason.HEADER_NOT_JSON),
    "two documents": (lambda: headed("{}{}"), Reason.HEADER_NOT_JSON),
    "a tensor twice": (lambda: headed(f'{{"a":{ONE},"a":{ONE}}}', FOUR), Reason.HEADER_KEY_TWICE),
    "a dtype twice": (
        lambda: headed('{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}'),
        Reason.HEADER_KEY_TWICE,
    ),
    "depth": (lambda: headed('{"a":' * 50_000), Reason.HEADER_MALFORMED),
    "a tensor that is a number": (lambda: headed('{"a":1}'), Reason.HEADER_MALFORMED),
    "a key too many": (lambda: described_as(code="x"), Reason.HEADER_MALFORMED),
    "a size below zero": (lambda: described_as(shape=[-1, -16]), Reason.HEADER_MALFORMED),
    "minus nothing": (
        lambda: headed(f'{{"a":{ONE.replace("[0", "[-0")}}}', FOUR),
        Reason.HEADER_MALFORMED,
    ),
    "a fraction of a size": (lambda: described_as(shape=[2.0, 8]), Reason.HEADER_MALFORMED),
    "truth as a size": (lambda: described_as(shape=[True, 16]), Reason.HEADER_MALFORMED),
    "infinity as a size": (lambda: described_as(shape=[float("inf")]), Reason.HEADER_MALFORMED),
    "a size of 30 digits": (lambda: described_as(shape=[10**30]), Reason.HEADER_MALFORMED),
    "three offsets": (lambda: described_as(data_offsets=[0, 1, 2]), Reason.HEADER_MALFORMED),
    "metadata that is no text": (
        lambda: headed(f'{{"__metadata__":{{"a":1}},"a":{ONE}}}', FOUR),
        Reason.HEADER_MALFORMED,
    ),
    "a name of 600 characters": (
        lambda: headed(f'{{"{"a" * 600}":{ONE}}}', FOUR),
        Reason.HEADER_MALFORMED,
    ),
    "no tensor": (lambda: headed("{}"), Reason.NO_TENSORS),
    "metadata alone": (lambda: headed('{"__metadata__":{}}'), Reason.NO_TENSORS),
    "10,001 tensors": (many_tensors, Reason.TOO_MANY_TENSORS),
    "whole numbers": (lambda: described_as(dtype="I64"), Reason.TENSOR_DTYPE),
    "no such dtype": (lambda: described_as(dtype="__reduce__"), Reason.TENSOR_DTYPE),
    "a dtype that is a list": (lambda: described_as(dtype=["F32"]), Reason.TENSOR_DTYPE),
    "offsets beyond the file": (
        lambda: described_as(data_offsets=[2**40, 2**40 + 64]),
        Reason.TENSOR_OFFSETS,
    ),
    "offsets backwards": (lambda: described_as(data_offsets=[64, 0]), Reason.TENSOR_OFFSETS),
    "tensors that overlap": (
        lambda: described_as(Q_UP, data_offsets=[32, 96]),
        Reason.TENSOR_OVERLAP,
    ),
    "a gap": (
        lambda: headed(f'{{"a":{ONE.replace("[0, 4]", "[4, 8]")}}}', FOUR * 2),
        Reason.TENSOR_GAP,
    ),
    "something behind": (
        lambda: small_upload(weights=packed(small_tensors()) + b"PK\x03\x04"),
        Reason.TENSOR_GAP,
    ),
    "a shape that overflows": (lambda: described_as(shape=[2**63, 2**63]), Reason.TENSOR_SIZE),
    "another size than bytes": (lambda: described_as(shape=[2, 7]), Reason.TENSOR_SIZE),
    "an empty tensor": (
        lambda: tensors_with({"empty": ("F32", (0, 8), b"")}),
        Reason.TENSOR_SIZE,
    ),
    "a million dimensions": (lambda: described_as(shape=[1] * 100_000), Reason.TENSOR_SIZE),
    # adapter_config.json
    "a configuration that is no JSON": (lambda: raw_config(b"{"), Reason.CONFIG_NOT_JSON),
    "a configuration with a key twice": (
        lambda: raw_config(b'{"peft_type": "LORA", "r": 4, "r": 64}'),
        Reason.CONFIG_NOT_JSON,
    ),
    "a configuration with NaN": (
        lambda: raw_config(b'{"lora_alpha": NaN}'),
        Reason.CONFIG_NOT_JSON,
    ),
    "a deep configuration": (lambda: raw_config(b"[" * 100_000), Reason.CONFIG_NOT_JSON),
    "a configuration that is a list": (lambda: raw_config(b"[]"), Reason.CONFIG_MALFORMED),
    "a pattern that is no object": (lambda: configured(rank_pattern=[1]), Reason.CONFIG_MALFORMED),
    "another kind of adapter": (lambda: configured(peft_type="IA3"), Reason.PEFT_TYPE),
    "no kind of adapter": (lambda: configured(peft_type=None), Reason.PEFT_TYPE),
    "rank zero": (lambda: configured(r=0), Reason.RANK_INVALID),
    "a rank of text": (lambda: configured(r="4"), Reason.RANK_INVALID),
    "truth as a rank": (lambda: configured(r=True), Reason.RANK_INVALID),
    "a rank pattern below one": (
        lambda: configured(rank_pattern={"q_proj": -1}),
        Reason.RANK_INVALID,
    ),
    "a pattern without end": (
        lambda: configured(rank_pattern={"(a+)+$": 2}),
        Reason.RANK_INVALID,
    ),
    "a rank beyond the engines'": (lambda: configured(r=32), Reason.RANK_TOO_LARGE),
    "a pattern's rank beyond": (
        lambda: configured(rank_pattern={"nothing": 17}),
        Reason.RANK_TOO_LARGE,
    ),
    "no alpha": (lambda: configured(lora_alpha=None), Reason.ALPHA_INVALID),
    "an alpha of nothing": (lambda: configured(lora_alpha=0), Reason.ALPHA_INVALID),
    "an alpha of a million": (lambda: configured(lora_alpha=1e6), Reason.ALPHA_INVALID),
    "an alpha pattern of text": (
        lambda: configured(alpha_pattern={"q_proj": "8"}),
        Reason.ALPHA_INVALID,
    ),
    "no targets": (lambda: configured(target_modules=None), Reason.TARGET_MODULES),
    "targets of numbers": (lambda: configured(target_modules=[1]), Reason.TARGET_MODULES),
    "whole modules": (lambda: configured(modules_to_save=["lm_head"]), Reason.MODULES_TO_SAVE),
    "biases": (lambda: configured(bias="lora_only"), Reason.BIAS_UNSUPPORTED),
    "DoRA": (lambda: configured(use_dora=True), Reason.VARIANT_UNSUPPORTED),
    "aLoRA": (lambda: configured(alora_invocation_tokens=[1]), Reason.VARIANT_UNSUPPORTED),
    "PiSSA": (lambda: configured(init_lora_weights="pissa"), Reason.VARIANT_UNSUPPORTED),
    "trained tokens": (
        lambda: configured(trainable_token_indices=[1]),
        Reason.VARIANT_UNSUPPORTED,
    ),
    "a classifier": (lambda: configured(task_type="SEQ_CLS"), Reason.VARIANT_UNSUPPORTED),
    "a word for truth": (lambda: configured(use_rslora="yes"), Reason.CONFIG_MALFORMED),
    "another base model": (
        lambda: configured(base_model_name_or_path="meta/Llama-3-8B"),
        Reason.BASE_MODEL_OTHER,
    ),
    "no base model": (
        lambda: configured(base_model_name_or_path=None),
        Reason.BASE_MODEL_OTHER,
    ),
    "another digest": (
        lambda: replace(small_upload(), base_model_digest="0" * 64),
        Reason.BASE_MODEL_DIGEST,
    ),
    "another digest in training.json": (
        lambda: with_file("training.json", json.dumps({"base_model_digest": "1" * 64}).encode()),
        Reason.BASE_MODEL_DIGEST,
    ),
    "no digest where one must be": (
        lambda: replace(small_upload(), rules=replace(RULES, require_base_model_digest=True)),
        Reason.BASE_MODEL_DIGEST,
    ),
    "a training.json without it": (
        lambda: replace(
            with_file("training.json", b"{}"), rules=replace(RULES, require_base_model_digest=True)
        ),
        Reason.BASE_MODEL_DIGEST,
    ),
    "a training.json of text": (
        lambda: with_file("training.json", b'"x"'),
        Reason.CONFIG_MALFORMED,
    ),
    "a digest that is none": (
        lambda: with_file("training.json", b'{"base_model_digest": "abc"}'),
        Reason.CONFIG_MALFORMED,
    ),
    # Tensors
    "a tensor of nothing known": (
        lambda: tensors_with({"evil": numbers(1)}),
        Reason.TENSOR_NAME,
    ),
    "a layer beyond the last": (
        lambda: tensors_with({name(9, "self_attn.q_proj", "lora_A.weight"): numbers(2, 8)}),
        Reason.TENSOR_NAME,
    ),
    "the base model's own weights": (
        lambda: tensors_with(
            {"base_model.model.model.embed_tokens.base_layer.weight": numbers(32, 8)}
        ),
        Reason.TENSOR_NAME,
    ),
    "a module not targeted": (
        lambda: tensors_with(
            {
                name(0, "self_attn.k_proj", "lora_A.weight"): numbers(2, 8),
                name(0, "self_attn.k_proj", "lora_B.weight"): numbers(4, 2),
            }
        ),
        Reason.TENSOR_NAME,
    ),
    "a magnitude without DoRA": (
        lambda: tensors_with({name(0, "self_attn.q_proj", "lora_magnitude_vector"): numbers(8)}),
        Reason.TENSOR_NAME,
    ),
    "an embedding's name elsewhere": (
        lambda: tensors_with({name(0, "self_attn.q_proj", "lora_embedding_A"): numbers(2, 8)}),
        Reason.TENSOR_NAME,
    ),
    "a target that is not there": (
        lambda: configured(target_modules=["q_proj", "v_proj", "down_proj", "query_key_value"]),
        Reason.TARGET_MODULES,
    ),
    "another rank than it says": (lambda: configured(r=4), Reason.TENSOR_SHAPE),
    "another base model's width": (lambda: tensors_with({Q: numbers(2, 9)}), Reason.TENSOR_SHAPE),
    "A the other way round": (lambda: tensors_with({Q: numbers(8, 2)}), Reason.TENSOR_SHAPE),
    "three dimensions": (lambda: tensors_with({Q: numbers(2, 8, 1)}), Reason.TENSOR_SHAPE),
    "an embedding of another vocabulary": (
        lambda: embedding("A", 2, 33),
        Reason.TENSOR_SHAPE,
    ),
    "A without B": (lambda: tensors_without(Q_UP), Reason.TENSOR_MISSING),
    "B without A": (lambda: tensors_without(Q), Reason.TENSOR_MISSING),
    "a target without tensors": (
        lambda: configured(target_modules=["q_proj", "v_proj", "down_proj", "k_proj"]),
        Reason.TENSOR_MISSING,
    ),
    # Numbers
    "NaN": (lambda: poisoned(float("nan")), Reason.NOT_FINITE),
    "infinity": (lambda: poisoned(float("-inf")), Reason.NOT_FINITE),
    "NaN in BF16": (lambda: poisoned(float("nan"), "BF16"), Reason.NOT_FINITE),
    "NaN in F16": (lambda: poisoned(float("nan"), "F16"), Reason.NOT_FINITE),
    "infinity in F16": (lambda: poisoned(float("inf"), "F16"), Reason.NOT_FINITE),
    "1e30": (lambda: poisoned(1e30), Reason.NORM_ABSURD),
    "1e30 in BF16": (lambda: poisoned(1e30, "BF16"), Reason.NORM_ABSURD),
    "60,000 in F16": (lambda: poisoned(60_000, "F16"), Reason.NORM_ABSURD),
    "weights that drown the base model": (
        lambda: tensors_with({Q: numbers(2, 8, value=3), Q_UP: numbers(8, 2, value=3)}),
        Reason.NORM_ABSURD,
    ),
    "a scale that drowns it": (lambda: configured(lora_alpha=60_000), Reason.NORM_ABSURD),
    "zeros": (
        lambda: small_upload({k: numbers(*t[1], value=0) for k, t in small_tensors().items()}),
        Reason.ALL_ZERO,
    ),
    # Texts
    "a card in Big5": (lambda: with_file("README.md", "法律".encode("big5")), Reason.TEXT_NOT_UTF8),
    "a case without answer": (
        lambda: with_file("evaluation.jsonl", b'{"id": "e1", "lang": "en", "kind": "choice"}'),
        Reason.EVALUATION_MALFORMED,
    ),
    "an evaluation set of blanks": (
        lambda: with_file("evaluation.jsonl", b"\n\n"),
        Reason.EVALUATION_MALFORMED,
    ),
    "an answer beyond the choices": (
        lambda: with_file("evaluation.jsonl", json.dumps({**CASE, "answer": 2}).encode()),
        Reason.EVALUATION_MALFORMED,
    ),
    # A new expert
    "a new expert without prompt": (lambda: new_expert(prompt__md=None), Reason.FILE_MISSING),
    "a new expert without lines": (
        lambda: new_expert(utterances__en__txt=None),
        Reason.FILE_MISSING,
    ),
    "a prompt of blanks": (lambda: new_expert(prompt__md=b" \n"), Reason.EXPERT_MALFORMED),
    "an expert of another name": (
        lambda: new_expert(expert__yaml=EXPERT_YAML.replace("legal", "medical").encode()),
        Reason.EXPERT_MALFORMED,
    ),
    "an expert of a backend not there": (
        lambda: new_expert(expert__yaml=EXPERT_YAML.replace("local", "elsewhere").encode()),
        Reason.EXPERT_MALFORMED,
    ),
    "an expert with a path": (
        lambda: new_expert(
            expert__yaml=(EXPERT_YAML + "adapters: {tiny-llama: ../../etc}").encode()
        ),
        Reason.EXPERT_MALFORMED,
    ),
    "an expert with a key unknown": (
        lambda: new_expert(expert__yaml=(EXPERT_YAML + "root: true").encode()),
        Reason.EXPERT_MALFORMED,
    ),
    "a YAML bomb": (lambda: new_expert(expert__yaml=bomb().encode()), Reason.EXPERT_MALFORMED),
    "a deep YAML": (lambda: new_expert(expert__yaml=b"[" * 5000), Reason.EXPERT_MALFORMED),
    "a YAML object": (
        lambda: new_expert(expert__yaml=b"!!python/object/apply:os.system [ls]"),
        Reason.EXPERT_MALFORMED,
    ),
    "no YAML": (lambda: new_expert(expert__yaml=b"a: [b"), Reason.EXPERT_MALFORMED),
    "lines of headings": (
        lambda: new_expert(utterances__en__txt=b"# contracts\n\n"),
        Reason.UTTERANCES_MALFORMED,
    ),
    "a line of 3,000 characters": (
        lambda: new_expert(utterances__en__txt=b"a" * 3000),
        Reason.UTTERANCES_MALFORMED,
    ),
    "a joint line without another": (
        lambda: new_expert(joint__en__txt=b"Who pays?\n"),
        Reason.UTTERANCES_MALFORMED,
    ),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModelShape:
    """Give a small base model."""
    return base_model(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("case", HOSTILE)
def test_each_is_refused_for_its_own_reason(case: str, base: BaseModelShape) -> None:
    """A hostile or broken upload has one fatal reason, with a message and advice to read."""
    make, reason = HOSTILE[case]
    findings = make().send(base)
    assert fatal(findings) == {reason}, findings
    for finding in findings:
        assert 0 < len(finding.message) <= 600
        assert finding.message.isprintable()
        assert finding.advice


@pytest.mark.parametrize("case", HOSTILE)
def test_pieces_change_nothing(case: str, base: BaseModelShape) -> None:
    """What is found does not hang on how the bytes were cut."""
    make, _ = HOSTILE[case]
    upload = make()
    if sum(map(len, upload.files.values())) > 100_000:
        pytest.skip("would take long in such small pieces")
    assert upload.send(base, 13) == upload.send(base)


def test_there_are_enough_of_them() -> None:
    """Nothing has been taken out of the table unnoticed."""
    assert len(HOSTILE) >= 120


def test_every_reason_of_validation_is_met() -> None:
    """No reason of validation is without an upload that has it."""
    elsewhere = {
        Reason.CARD_MISSING,
        Reason.DIGEST_MISMATCH,
        Reason.DOMAIN_COLLISION,
        Reason.SIGNATURE_MISSING,
        Reason.SIGNATURE_INVALID,
        Reason.SIGNER_UNKNOWN,
        Reason.MUST_PASS_FAILED,
        Reason.WORSE_THAN_LIVE,
        Reason.HARMS_OTHER_DOMAIN,
        Reason.SIMPLIFIED_CHINESE,
        Reason.TOO_SLOW,
        Reason.TOO_MUCH_MEMORY,
        Reason.ENGINE_REFUSED,
        Reason.TOO_FEW_CASES,
    }
    assert {reason for _, reason in HOSTILE.values()} == set(Reason) - elsewhere


def test_more_bytes_than_announced(base: BaseModelShape) -> None:
    """Bytes behind the announced end are refused when they come."""
    assert Reason.SIZE_MISMATCH in fatal(announced_otherwise(-2).send(base))


def test_bytes_of_a_file_not_announced(base: BaseModelShape) -> None:
    """A file that comes without having been announced is refused by name."""
    upload = small_upload()
    entries = upload.entries()
    upload.files["extra.json"] = b"x"
    upload.announced = entries
    assert fatal(upload.send(base)) == {Reason.FILE_UNEXPECTED}


def test_names_apart_in_case_alone(base: BaseModelShape) -> None:
    """Two names that are one on some systems are refused, besides the one not known."""
    upload = with_file("ADAPTER_config.json")
    assert fatal(upload.send(base)) == {Reason.PATH_TWICE, Reason.FILE_UNEXPECTED}


def test_a_size_below_zero(base: BaseModelShape) -> None:
    """A size that cannot be is taken for an empty file, and never becomes an index."""
    upload = small_upload()
    negative = FileEntry(path=WEIGHTS, size_bytes=-1, sha256="0" * 64)
    upload.announced = (negative, *(e for e in upload.entries() if e.path != WEIGHTS))
    assert Reason.FILE_EMPTY in fatal(upload.send(base))


def test_the_first_bytes_refuse_what_follows(base: BaseModelShape) -> None:
    """A wrong adapter is refused with its first bytes, not after gigabytes."""
    upload = configured_for_another_base_model()
    validation = Validation(RULES, base)
    assert not fatal(validation.announced(EXPERT, upload.entries()))
    assert not fatal(validation.feed(CONFIG, upload.files[CONFIG]))
    header = int.from_bytes(upload.files[WEIGHTS][:8], "little")
    assert fatal(validation.feed(WEIGHTS, upload.files[WEIGHTS][: 8 + header])) == {
        Reason.TENSOR_SHAPE
    }


def configured_for_another_base_model() -> Upload:
    """Send an adapter of a wider base model of the same name."""
    wide = {
        name(layer, "self_attn.q_proj", part): numbers(*shape)
        for layer in range(2)
        for part, shape in (("lora_A.weight", (2, 16)), ("lora_B.weight", (16, 2)))
    }
    return small_upload(wide, {"target_modules": ["q_proj"]})


def test_what_is_left_unharmed_is_accepted(base: BaseModelShape) -> None:
    """The uploads that the table spoils are good before they are spoilt."""
    assert small_upload().send(base) == []
    assert new_expert().send(base) == []
