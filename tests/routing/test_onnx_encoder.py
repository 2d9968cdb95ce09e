"""The embedded encoder, on its real folder; its errors on a tiny one."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tame_router.errors import ConfigError
from tame_router.routing.encoder import encoder_reading
from tame_router.routing.onnx_encoder import GRAPH_FILE, SETTINGS_FILE, TOKENIZER_FILE, OnnxEncoder
from tests.fakes.tiny_encoder import write_tiny_encoder

FOLDER = Path(__file__).parents[2] / ".tame/encoders/multilingual-e5-small"
TEXTS = ("房東不退押金怎麼辦", "My landlord keeps the deposit", "", "👍" * 2_000, "a\u200bb")


@pytest.fixture(scope="module")
def real() -> OnnxEncoder:
    """Give the embedded encoder."""
    return OnnxEncoder(FOLDER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a tiny encoder's folder that a test may spoil."""
    write_tiny_encoder(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.mark.encoder
def test_embeddings_have_unit_length(real: OnnxEncoder) -> None:
    """Any text, the empty one and a very long one too, is a float32 vector of length 1."""
    found = real.embed(TEXTS)
    assert (found.dtype, found.shape) == (np.dtype(np.float32), (len(TEXTS), 384))
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    assert real.embed([]).shape == (0, 384)


@pytest.mark.encoder
def test_neighbours_do_not_matter(real: OnnxEncoder) -> None:
    """A text's embedding is the same alone, in any company, and in any thread."""
    together = real.embed(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(lambda text: real.embed([text])[0], TEXTS * 3))
    assert (np.stack(alone) == np.concatenate([together] * 3)).all()


@pytest.mark.encoder
def test_questions_of_one_meaning_lie_close(real: OnnxEncoder) -> None:
    """A question lies nearer to the same one in other words than to another question."""
    question, reworded, other = real.embed(
        ["房東不退押金怎麼辦", "租屋處的屋主不還我保證金", "小孩發燒要看醫生嗎"]
    )
    assert float(question @ reworded) > float(question @ other)


@pytest.mark.encoder
@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("劳动合同到期不续签有补偿吗", "勞動合同到期不續簽有補償嗎"),
        ("ＭＯＳＦＥＴ　怎麼選？", "MOSFET 怎麼選?"),
    ],
)
def test_spellings_of_one_question_lie_close(real: OnnxEncoder, written: str, plain: str) -> None:
    """Script and width make next to no difference to what is read."""
    one, other = real.embed([encoder_reading(written), encoder_reading(plain)])
    assert one @ other > 0.99


def test_a_tiny_encoder_is_one_too(folder: Path) -> None:
    """The digest names graph, tokenizer and prompt, and reading it loads nothing."""
    encoder = OnnxEncoder(folder)
    assert len(encoder.digest) == 64
    assert OnnxEncoder(folder).digest == encoder.digest
    (folder / SETTINGS_FILE).write_text("{}")
    plain = OnnxEncoder(folder)
    assert plain.digest != encoder.digest
    assert not np.allclose(plain.embed(["麵團"]), encoder.embed(["麵團"]))


@pytest.mark.parametrize("name", [GRAPH_FILE, TOKENIZER_FILE, SETTINGS_FILE])
def test_a_file_that_is_not_there_is_named(folder: Path, name: str) -> None:
    """An encoder without one of its files is refused at once, with what to do."""
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=f"has no readable {name}: .*run `make encoder`"):
        OnnxEncoder(folder)


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_damaged_settings_are_refused(folder: Path, text: str) -> None:
    """Settings that are no settings are found before anything is embedded."""
    (folder / SETTINGS_FILE).write_text(text)
    with pytest.raises(ConfigError, match=f"{SETTINGS_FILE} is damaged"):
        OnnxEncoder(folder)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        (GRAPH_FILE, lambda data: data[: len(data) // 2]),
        (GRAPH_FILE, lambda _: b""),
        (GRAPH_FILE, lambda _: b"\x00" * 64),
        (TOKENIZER_FILE, lambda data: data[: len(data) // 2]),
    ],
)
def test_a_damaged_file_is_told_with_the_first_text(
    folder: Path, name: str, spoil: Callable[[bytes], bytes]
) -> None:
    """What only loading can find ends in a message that says what to do."""
    (folder / name).write_bytes(spoil((folder / name).read_bytes()))
    encoder = OnnxEncoder(folder)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"is damaged: .*run `make encoder`"):
            encoder.embed(["麵團"])


@pytest.mark.parametrize("library", ["onnxruntime", "tokenizers"])
def test_an_absent_library_is_named_with_its_extra(
    folder: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra the message says how to install it, and how to do without."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=rf"needs {library}, .*tame-router\[encoder\].*false"):
        OnnxEncoder(folder)
