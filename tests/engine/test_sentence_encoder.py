"""The embedded encoder beside sentence-transformers, which runs in the engine's environment."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tame_router.routing.onnx_encoder import OnnxEncoder
from tests.engine.conftest import ROOT

PYTHON = ROOT / ".tame/engine/venv/bin/python"
FOLDER = ROOT / ".tame/encoders/multilingual-e5-small"

TEXTS = (
    "房東不退押金，可以寄存證信函嗎？",
    "小孩發燒到 39 度要不要送急診",
    "射出成型件縮水怎麼改善",
    "MOSFET 的 gate driver 要怎麼選？",
    "推薦台北三天兩夜的行程",
    "劳动合同到期不续签有补偿吗",
    "ＭＯＳＦＥＴ　怎麼選？",
    "👍",
    "Can my employer fire me without notice?",
    "My op amp output saturates at the supply rail",
    "Write a short poem about autumn",
    "why",
    "勞工被資遣可以拿多少資遣費" * 60,
)

SCRIPT = """
import json, sys
import numpy as np
from tame_router.routing.sentence_encoder import SentenceEncoder
folder, out = sys.argv[1:]
np.save(out, SentenceEncoder(folder).embed(json.load(sys.stdin)))
"""


def in_engine(*arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the engine's interpreter with this repository on its path, offline."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [str(PYTHON), *arguments],
        input=given,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.encoder
def test_both_encoders_embed_alike(tmp_path: Path) -> None:
    """The embedded encoder's vectors are those of sentence-transformers on the same folder."""
    if in_engine("-c", "import sentence_transformers").returncode:
        pytest.skip("the engine's environment has no sentence_transformers; run `make engine`")
    out = tmp_path / "embeddings.npy"
    done = in_engine("-c", SCRIPT, str(FOLDER), str(out), given=json.dumps(TEXTS))
    assert done.returncode == 0, done.stderr
    wanted = np.load(out)
    found = OnnxEncoder(FOLDER).embed(TEXTS)
    assert wanted.dtype == np.float32
    assert wanted.shape == found.shape == (len(TEXTS), 384)
    cosines = (wanted * found).sum(axis=1)
    assert cosines.min() >= 0.99, dict(zip(TEXTS, cosines, strict=True))
