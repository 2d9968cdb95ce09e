"""The routing bench measures a folder of questions, and says so where there are none."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.vllm import BASE_MODEL
from tests.small_experts import QUESTIONS, write_experts

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench" / "routing.py"
SHARES = ("ood_general", "multi_both", "two_selected", "ece", "fast_share")
CELLS = {"all", "chat.zh-TW", "chat.en", "exam.zh-TW", "exam.en"}


def lines(*rows: Mapping[str, object]) -> str:
    """Write rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_data(folder: Path) -> Path:
    """Write own questions of every form, none of them an English examination."""
    folder.mkdir()
    single = [
        {"id": f"{name}-{tag}", "text": text, "domain": name, "lang": tag, "style": "chat"}
        for name, texts in QUESTIONS.items()
        for tag, text in zip(("zh-TW", "en"), texts, strict=True)
    ]
    exam = {
        "text": "下列何者為契約解除之效力？",
        "domain": "legal",
        "lang": "zh-TW",
        "style": "exam",
    }
    both = {"text": "開刀失敗可以告醫院嗎？", "domains": ["legal", "medical"], "lang": "zh-TW"}
    out = {"text": "銀行匯款多久會到帳？", "domain": "general", "ood_topic": "finance"}
    unsaid = {"text": "Which bank opens on Sundays?", "domain": "general", "lang": "en"}
    (folder / "dev.jsonl").write_text(lines(*single, exam), encoding="utf-8")
    (folder / "multi.jsonl").write_text(lines(both), encoding="utf-8")
    (folder / "ood.jsonl").write_text(lines(out, unsaid), encoding="utf-8")
    return folder


def run(data: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the bench over a folder, without peers."""
    command = [sys.executable, str(BENCH), "--json", "--no-peers", "--data", str(data)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give the settings of small experts that nobody has trained yet, without an encoder."""
    root = tmp_path_factory.mktemp("bench")
    return {
        "TAME_EXPERTS_DIR": str(write_experts(root)),
        "TAME_STATE_DIR": str(root / "state"),
        "TAME_BACKENDS__LOCAL__BASE_MODEL": BASE_MODEL,
    }


@pytest.fixture(scope="module")
def found(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give what the bench finds over own questions: its last line."""
    done = run(write_data(tmp_path_factory.mktemp("questions") / "data"), environment)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document


def test_every_share_lies_between_0_and_1(found: dict[str, Any]) -> None:
    """Accuracies, F1s and shares are shares, and each lies within its interval."""
    flat = {f"accuracy.{name}": share for name, share in found["accuracy"].items()}
    flat |= {f"f1.{name}": share for name, share in found["f1"].items()}
    flat |= {name: found[name] for name in SHARES}
    known = {name: share for name, share in flat.items() if share is not None}
    for name, share in known.items():
        low, high = found["intervals"][name]
        assert 0 <= low <= high <= 1, name
        assert 0 <= share <= 1, name


def test_a_cell_without_questions_is_null(found: dict[str, Any]) -> None:
    """Every cell is named; the one that no question is of has no figure."""
    assert set(found["accuracy"]) == CELLS
    assert [name for name, share in found["accuracy"].items() if share is None] == ["exam.en"]
    assert set(found["f1"]) == set(QUESTIONS)
    assert found["counts"]["accuracy.all"] == 2 * len(QUESTIONS) + 1


def test_what_stands_in_the_file_is_out_of_domain_said_or_not(found: dict[str, Any]) -> None:
    """Both questions of `ood.jsonl` count as out of domain, and neither for the accuracy."""
    assert found["counts"]["ood_general"] == 2
    assert found["questions"] == 2 * len(QUESTIONS) + 1 + 1 + 2


def test_without_an_encoder_its_figures_are_null(found: dict[str, Any]) -> None:
    """No encoder: the fast tier decides everything, and nothing is said of another."""
    assert found["fast_share"] == 1
    assert found["encoder_ms_p50"] is None
    assert found["encoder_ms_p99"] is None
    assert found["accuracy_lost"] is None
    assert 0 < found["fast_us_p50"] <= found["fast_us_p99"]
    assert found["peers"] == {}


def test_a_folder_without_questions_is_told(environment: dict[str, str], tmp_path: Path) -> None:
    """Without data it says so, trains nothing, and is no failure."""
    done = run(tmp_path / "absent", environment)
    assert done.returncode == 0
    assert "no data" in done.stdout


def test_a_line_that_is_no_question_is_told(environment: dict[str, str], tmp_path: Path) -> None:
    """A question of an unknown domain ends the bench with its file and line, and exit code 1."""
    (tmp_path / "dev.jsonl").write_text(lines({"text": "?", "domain": "law"}), encoding="utf-8")
    done = run(tmp_path, environment)
    assert done.returncode == 1
    assert "dev.jsonl" in done.stderr
