"""`tame router add`."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tame_router import app
from tame_router.config import Settings
from tame_router.routing.artefact_folder import load_artefact
from tame_router.teaching.corpus import load_corpus
from tame_router.trained_router import plan_lesson, train_router
from tests.cli.conftest import Tame
from tests.fakes.vllm import BASE_MODEL
from tests.small_experts import write_experts

LINES = """玫瑰花要多久澆水一次
盆栽葉子發黃是澆水太多嗎
番茄幼苗什麼時候移盆
盆栽土壤要加多少肥料
玫瑰花剪枝要剪到哪裡
薰衣草盆栽需要多少陽光
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings of four small experts with a trained router."""
    settings = Settings.model_validate(
        {
            "state_dir": tmp_path / "state",
            "experts_dir": write_experts(tmp_path),
            "backends": {"local": {"base_model": BASE_MODEL}},
        }
    )
    train_router(plan_lesson(settings, app.build_catalog(settings)), lambda _: None)
    return settings


@pytest.fixture
def config_file(settings: Settings, tmp_path: Path) -> str:
    """Give them as a file."""
    file = tmp_path / "tame.yaml"
    file.write_text(yaml.safe_dump(settings.model_dump(mode="json"), allow_unicode=True))
    return str(file)


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """Give a folder with the lines of a new domain."""
    folder = tmp_path / "draft" / "garden"
    folder.mkdir(parents=True)
    (folder / "utterances.zh-TW.txt").write_text(LINES, encoding="utf-8")
    return folder


def files(settings: Settings) -> dict[str, bytes]:
    """Read the trained router's files."""
    return {p.name: p.read_bytes() for p in (settings.state_dir / "router").iterdir()}


def test_a_preview_changes_nothing(
    tame: Tame, config_file: str, settings: Settings, draft: Path, tmp_path: Path
) -> None:
    """It tells what the domain would take of traffic, and leaves the trained router alone."""
    before = files(settings)
    traffic = tmp_path / "asked.jsonl"
    traffic.write_text('{"text": "玫瑰花盆栽澆水"}\n{"text": "離婚官司監護權怎麼判"}\n', "utf-8")
    arguments = ("router", "add", str(draft), "--config", config_file, "--traffic", str(traffic))
    plain, machine = tame(*arguments), tame(*arguments, "--json")
    assert plain.code == machine.code == 0
    assert "nothing was activated" in plain.out
    assert "6 lines learnt" in plain.out
    facts = json.loads(machine.out)
    assert (facts["domain"], facts["lines"], facts["activated"]) == ("garden", 6, False)
    assert [r["text"] for r in facts["traffic"] if r["captured"]] == ["玫瑰花盆栽澆水"]
    assert files(settings) == before


def test_an_activated_router_is_loaded_as_it_is(
    tame: Tame, config_file: str, settings: Settings, draft: Path
) -> None:
    """Its digest is that of all lines, so that the service does not train anew."""
    folder = settings.experts_dir / "garden"
    shutil.copytree(draft, folder)
    shutil.copy(settings.experts_dir / "general" / "prompt.md", folder)
    document = yaml.safe_load((settings.experts_dir / "general" / "expert.yaml").read_text())
    (folder / "expert.yaml").write_text(yaml.safe_dump({**document, "name": "garden"}))
    result = tame("router", "add", str(folder), "--activate", "--json", "--config", config_file)
    assert result.code == 0
    catalog = app.build_catalog(settings)
    lesson = plan_lesson(settings, catalog)
    loaded = load_artefact(
        lesson.artefact_dir, catalog.names, corpus_digest=load_corpus(lesson.folders).digest
    )
    assert loaded.digest == json.loads(result.out)["digest"]
    again = tame("router", "add", str(folder), "--config", config_file)
    assert again.code == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [("garden", "is no expert yet"), ("legal", "there is an expert 'legal' already")],
)
def test_a_folder_that_may_not_be_activated_is_refused(
    tame: Tame, config_file: str, settings: Settings, draft: Path, name: str, message: str
) -> None:
    """What is no expert, or another's name, is refused with what to do; nothing is written."""
    before = files(settings)
    folder = draft.rename(draft.with_name(name))
    result = tame("router", "add", str(folder), "--activate", "--config", config_file)
    assert result.code == 3
    assert message in result.err
    assert files(settings) == before


def test_an_empty_folder_is_refused(tame: Tame, config_file: str, tmp_path: Path) -> None:
    """There has to be something to learn."""
    (tmp_path / "empty").mkdir()
    result = tame("router", "add", str(tmp_path / "empty"), "--config", config_file)
    assert result.code == 3
    assert "no teaching line" in result.err
