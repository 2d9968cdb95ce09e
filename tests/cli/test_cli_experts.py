"""`tame experts`."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from tame_router.catalog.expert import Catalog
from tame_router.config import Settings
from tests.cli.conftest import Tame
from tests.cli.terminal import Terminal


@pytest.fixture
def own_experts(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the small experts that a test may spoil, and let commands read it."""
    source = settings.experts_dir.parent
    for name in ("experts", "adapters"):
        shutil.copytree(source / name, tmp_path / "own" / name)
    monkeypatch.setenv("TAME_EXPERTS_DIR", str(tmp_path / "own" / "experts"))
    return tmp_path / "own" / "experts"


def test_experts_are_listed(tame: Tame, config_file: Path, catalog: Catalog) -> None:
    """One line an expert, with title, revision and backend."""
    result = tame("experts", "list", "--config", str(config_file))
    assert result.code == 0
    for name in catalog.names:
        revision = catalog.expert(name).live_revision or "base model"
        (line,) = (line for line in result.out.splitlines() if line.startswith(f"{name}\t"))
        assert line.split("\t")[2:] == [revision, "local"]
    assert "法律 · Legal" in result.out


def test_experts_are_listed_for_machines(tame: Tame, config_file: Path, catalog: Catalog) -> None:
    """With --json one object an expert, with all that is known of it."""
    result = tame("experts", "list", "--json", "--config", str(config_file))
    listed = [json.loads(line) for line in result.out.splitlines()]
    assert [expert["name"] for expert in listed] == list(catalog.names)
    legal = next(expert for expert in listed if expert["name"] == "legal")
    assert legal["live_revision"] == catalog.expert("legal").live_revision
    assert legal["sampling"]["stop"] == ["USER:", "<|eot_id|>"]


def test_one_expert_is_shown(tame: Tame, config_file: Path, catalog: Catalog) -> None:
    """As YAML and as JSON the same is shown."""
    plain = tame("experts", "show", "legal", "--config", str(config_file))
    machine = tame("experts", "show", "legal", "--json", "--config", str(config_file))
    assert plain.code == machine.code == 0
    assert yaml.safe_load(plain.out) == json.loads(machine.out)
    assert json.loads(machine.out)["prompt"] == catalog.expert("legal").prompt
    assert "法律" in plain.out


def test_an_expert_that_is_not_there_is_said_so(tame: Tame, config_file: Path) -> None:
    """A name that is not known exits with 1 and the reason."""
    result = tame("experts", "show", "astrology", "--config", str(config_file))
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("tame: EXPERT_NOT_FOUND: there is no expert 'astrology'")


def test_a_check_counts_what_it_read(tame: Tame, config_file: Path) -> None:
    """Advice is printed, and does not fail."""
    result = tame("experts", "check", "--config", str(config_file))
    assert result.code == 0
    assert all(": advice: " in line for line in result.out.splitlines()[:-1])
    assert result.out.splitlines()[-1].startswith(
        "4 experts, 96 utterances, 4 evaluation cases: 0 faults, "
    )


def test_a_check_names_file_and_line_of_every_fault(
    tame: Tame, config_file: Path, own_experts: Path
) -> None:
    """Everything that is wrong is told in one run, each with its place, and exits with 1."""
    (own_experts / "legal" / "prompt.md").unlink()
    document = own_experts / "medical" / "expert.yaml"
    document.write_text(document.read_text().replace("name: medical", "name: legal"))
    lines = own_experts / "general" / "utterances.en.txt"
    lines.write_bytes(lines.read_bytes() + b"caf\xe9\n")
    lines = own_experts / "electronics" / "utterances.zh-TW.txt"
    lines.write_text(lines.read_text() + "今天天氣怎麼樣\n")
    cases = own_experts / "electronics" / "evaluation.jsonl"
    cases.write_text(cases.read_text() + "{}\n")
    shutil.rmtree(own_experts.parent / "adapters" / "electronics")
    result = tame("experts", "check", "--config", str(config_file))
    faults = [line for line in result.out.splitlines() if ": advice: " not in line]
    assert result.code == 1
    for place, words in (
        ("legal/prompt.md: ", "missing"),
        ("medical/expert.yaml:1: ", "'legal' is not the folder's name 'medical'"),
        ("general/utterances.en.txt:14: ", "UTF-8"),
        ("general/utterances.zh-TW.txt:2: ", "two domains"),
        ("electronics/evaluation.jsonl:2: ", ""),
        ("electronics/expert.yaml:", "adapter_config.json is missing"),
    ):
        assert [line for line in faults if f"{own_experts}/{place}" in line and words in line], (
            place,
            faults,
        )
    assert f"{len(faults) - 1} faults" in faults[-1]


def test_experts_that_cannot_be_served_stop_a_command(
    tame: Tame, config_file: Path, own_experts: Path
) -> None:
    """Other commands refuse a broken folder with 3, and name the fault."""
    (own_experts / "legal" / "prompt.md").write_text(" \n")
    result = tame("experts", "list", "--config", str(config_file))
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith("tame: INVALID_EXPERT: ")
    assert "legal/prompt.md:1: empty" in result.err


def test_a_folder_that_is_not_there_is_named(tame: Tame) -> None:
    """Without experts there is nothing to list, and the folder is named."""
    result = tame("experts", "list")
    assert result.code == 3
    assert "experts: no such folder of experts" in result.err
    assert tame("experts", "check").code == 1


def test_the_schema_of_an_expert_is_printed(tame: Tame) -> None:
    """The schema is JSON, for an editor."""
    result = tame("experts", "schema")
    assert result.code == 0
    assert "titles" in json.loads(result.out)["properties"]


def test_a_terminal_gets_colours(
    tame: Tame, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the list is a table with its headings set apart."""
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")
    assert tame("experts", "list", "--config", str(config_file)).code == 0
    assert "\x1b[" in terminal.getvalue()
    assert "revision" in terminal.getvalue()
    assert "法律 · Legal" in terminal.getvalue()
