"""Reading expert folders, and saying what is wrong with them."""

import json
from pathlib import Path

import pytest
import yaml

from tame_router.catalog.loader import load_catalog, read_catalog, schema
from tame_router.errors import CatalogError

BASE_MODELS = {"local": "tiny"}
DOCUMENT = {
    "name": "legal",
    "titles": {"zh-TW": "法律", "en": "Legal"},
    "descriptions": {"zh-TW": "法律問題。", "en": "Law."},
    "backend": "local",
    "sampling": {"temperature": 0.2, "stop": ["USER:"]},
    "notices": {"zh-TW": "非法律意見。"},
}


def write_expert(experts: Path, name: str = "legal", **changes: object) -> Path:
    """Write a valid expert folder, with some keys changed; None removes a key."""
    folder = experts / name
    folder.mkdir(parents=True)
    document = {**DOCUMENT, "name": name, **changes}
    kept = {key: value for key, value in document.items() if value is not None}
    text = yaml.safe_dump(kept, allow_unicode=True, sort_keys=False)
    (folder / "expert.yaml").write_text(text, encoding="utf-8")
    (folder / "prompt.md").write_text("You are an expert.\n", encoding="utf-8")
    return folder


def write_adapter(folder: Path, base_model: str = "tiny", weights: bytes = b"w") -> Path:
    """Write the two files of a PEFT folder."""
    folder.mkdir(parents=True)
    config = json.dumps({"base_model_name_or_path": base_model, "r": 8})
    (folder / "adapter_config.json").write_text(config)
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


def faults(experts: Path) -> list[str]:
    """Read a catalog and give its faults as they are printed, without the folder."""
    _, problems = read_catalog(experts, BASE_MODELS)
    return [str(problem).replace(f"{experts}/", "") for problem in problems]


def test_a_valid_folder_is_an_expert(tmp_path: Path) -> None:
    """A folder with expert.yaml and prompt.md becomes an expert with all that was written."""
    write_expert(tmp_path)
    expert = load_catalog(tmp_path, BASE_MODELS).expert("legal")
    assert expert.prompt == "You are an expert."
    assert expert.sampling.temperature == 0.2
    assert expert.sampling.stop == ("USER:",)
    assert expert.live_revision == ""
    assert expert.notice("en") == "非法律意見。"


def test_a_new_folder_is_a_new_expert(tmp_path: Path) -> None:
    """Experts are found by their folders alone, in order of names; hidden ones are passed over."""
    for name in ("legal", "chemistry", ".hidden", "_draft"):
        if name[0] in "._":
            (tmp_path / name).mkdir()
        else:
            write_expert(tmp_path, name)
    assert load_catalog(tmp_path, BASE_MODELS).names == ("chemistry", "legal")


def test_the_adapter_for_the_backends_base_model_is_live(tmp_path: Path) -> None:
    """Of several adapters the one for the served base model answers, named by its digest."""
    write_adapter(tmp_path / "adapters/tiny")
    write_adapter(tmp_path / "adapters/big", "big")
    adapters = {"big": "../../adapters/big", "tiny": "../../adapters/tiny"}
    write_expert(tmp_path / "experts", adapters=adapters)
    expert = load_catalog(tmp_path / "experts", BASE_MODELS).expert("legal")
    assert expert.live is not None
    assert expert.live.folder == tmp_path / "adapters/tiny"
    assert expert.live_revision.startswith("legal--")
    assert len(expert.live_revision) == len("legal--") + 16


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "Legal!"}, "legal/expert.yaml:1: name: String should match pattern"),
        ({"name": "medical"}, "'medical' is not the folder's name 'legal'"),
        ({"backend": "elsewhere"}, "no backend 'elsewhere' is configured; there are: local"),
        ({"titles": {"en": "Legal"}}, "titles lacks zh-TW"),
        ({"descriptions": None}, "descriptions is missing"),
        ({"colour": "red"}, "colour is not a known key"),
        ({"sampling": {"temperature": 3}}, "sampling.temperature: Input should be less than"),
        ({"sampling": {"temperature": float("nan")}}, "sampling.temperature: Input should be a f"),
        ({"sampling": {"max_tokens": 0}}, "sampling.max_tokens: Input should be greater than"),
        ({"sampling": {"stop": [""]}}, "sampling.stop.0: String should have at least 1"),
        ({"adapters": {"tiny": "../nowhere"}}, "adapter ../nowhere: adapter_config.json is miss"),
    ],
)
def test_a_fault_is_named_with_its_place(
    tmp_path: Path, changes: dict[str, object], expected: str
) -> None:
    """Each fault of expert.yaml is told with file, line, key, and what was expected."""
    folder = write_expert(tmp_path)
    text = yaml.safe_dump(
        {k: v for k, v in {**DOCUMENT, **changes}.items() if v is not None}, sort_keys=False
    )
    (folder / "expert.yaml").write_text(text, encoding="utf-8")
    found = faults(tmp_path)
    assert len(found) == 1
    assert found[0].startswith("legal/expert.yaml:")
    assert expected in found[0]


def test_the_line_is_that_of_the_key(tmp_path: Path) -> None:
    """A fault deep in the file is told with the line of its own key."""
    folder = write_expert(tmp_path)
    path = folder / "expert.yaml"
    text = path.read_text(encoding="utf-8").replace("temperature: 0.2", "temperature: hot")
    path.write_text(text, encoding="utf-8")
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "hot" in row)
    assert faults(tmp_path)[0].startswith(f"legal/expert.yaml:{line}: sampling.temperature")


def test_an_adapter_of_another_base_model_is_refused(tmp_path: Path) -> None:
    """An adapter folder whose config names another base model is a fault."""
    write_adapter(tmp_path / "adapters/legal", "other")
    write_expert(tmp_path / "experts", adapters={"tiny": "../../adapters/legal"})
    assert "was trained for base model 'other', not 'tiny'" in faults(tmp_path / "experts")[0]


def test_an_adapter_with_an_unreadable_config_is_refused(tmp_path: Path) -> None:
    """An adapter_config.json that is not JSON is a fault, not a crash."""
    folder = write_adapter(tmp_path / "adapters/legal")
    (folder / "adapter_config.json").write_text("{")
    write_expert(tmp_path / "experts", adapters={"tiny": "../../adapters/legal"})
    assert "adapter_config.json is not readable JSON" in faults(tmp_path / "experts")[0]


def test_a_missing_prompt_is_named(tmp_path: Path) -> None:
    """A folder without prompt.md cannot be served."""
    (write_expert(tmp_path) / "prompt.md").unlink()
    assert faults(tmp_path) == ["legal/prompt.md: missing; every expert has this file"]


def test_an_empty_prompt_is_named(tmp_path: Path) -> None:
    """A prompt of white space is no prompt."""
    (write_expert(tmp_path) / "prompt.md").write_text(" \n")
    assert faults(tmp_path) == ["legal/prompt.md:1: empty; write the expert's system prompt"]


def test_bytes_that_are_not_text_are_named(tmp_path: Path) -> None:
    """A file in another encoding is told with the first byte that is not UTF-8."""
    (write_expert(tmp_path) / "prompt.md").write_bytes("法律".encode("big5"))
    assert "prompt.md: byte 0 is not UTF-8" in faults(tmp_path)[0]


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    """A prompt.md that cannot be opened is a fault, not a crash."""
    folder = write_expert(tmp_path)
    (folder / "prompt.md").unlink()
    (folder / "prompt.md").mkdir()
    assert "prompt.md: cannot be read" in faults(tmp_path)[0]


def test_text_that_is_not_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    """A syntax error is told with its line."""
    (write_expert(tmp_path) / "expert.yaml").write_text("name: legal\ntitles: [\n")
    assert "legal/expert.yaml:3: not YAML" in faults(tmp_path)[0]


def test_a_key_that_stands_twice_is_named(tmp_path: Path) -> None:
    """YAML would silently take the second of two equal keys."""
    path = write_expert(tmp_path) / "expert.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "backend: local\n", encoding="utf-8")
    assert any("backend stands twice; keep one" in fault for fault in faults(tmp_path))


def test_two_folders_with_one_name_are_named(tmp_path: Path) -> None:
    """A copied folder that keeps its name is told apart from the one it was copied from."""
    write_expert(tmp_path)
    path = write_expert(tmp_path, "copy") / "expert.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("name: copy", "name: legal"))
    assert any(
        f"and is that of {tmp_path}/legal" in str(p) for p in read_catalog(tmp_path, BASE_MODELS)[1]
    )


def test_no_folder_and_no_expert_are_faults(tmp_path: Path) -> None:
    """A wrong path, and an empty folder, are told apart."""
    assert "no such folder" in faults(tmp_path / "nowhere")[0]
    assert "holds no expert" in faults(tmp_path)[0]


def test_loading_lists_every_fault(tmp_path: Path) -> None:
    """Start-up stops with all faults at once, so that they are mended in one go."""
    (write_expert(tmp_path) / "prompt.md").unlink()
    write_expert(tmp_path, "medical", backend="elsewhere")
    with pytest.raises(CatalogError, match=r"(?s)legal/prompt\.md.*medical/expert\.yaml"):
        load_catalog(tmp_path, BASE_MODELS)


@pytest.mark.parametrize(
    ("written", "expected"), [(None, None), (False, "off"), ("off", "off"), ("convert", "convert")]
)
def test_an_expert_may_have_its_own_guard(
    tmp_path: Path, written: object, expected: str | None
) -> None:
    """`simplified` is one of three words; YAML's False is the word `off`, and nothing is None."""
    write_expert(tmp_path, simplified=written)
    assert load_catalog(tmp_path, BASE_MODELS).expert("legal").guarding == expected


def test_another_guard_is_a_fault(tmp_path: Path) -> None:
    """A word that is none of the three is named with its line."""
    write_expert(tmp_path, simplified="always")
    (fault,) = faults(tmp_path)
    assert "simplified" in fault
    assert "always" in fault


def test_the_committed_schema_is_current() -> None:
    """The schema that editors read beside the experts is the one the loader checks with."""
    committed = Path(__file__).resolve().parents[2] / "experts/expert.schema.json"
    assert committed.read_text(encoding="utf-8") == schema() + "\n"


@pytest.mark.parametrize("key", ["tiny", "Tiny", "hub/Tiny"])
@pytest.mark.parametrize("named", ["tiny", "Tiny", "someone/Tiny", "/folders/tiny"])
def test_a_base_model_has_many_spellings(tmp_path: Path, key: str, named: str) -> None:
    """What trained an adapter may name its base model with a hub's owner, a path or capitals."""
    write_adapter(tmp_path / "adapters/legal", named)
    write_expert(tmp_path / "experts", adapters={key: "../../adapters/legal"})
    expert = load_catalog(tmp_path / "experts", BASE_MODELS).expert("legal")
    assert expert.live_revision.startswith("legal--")


def test_a_date_that_is_none_is_named(tmp_path: Path) -> None:
    """YAML reads dates, and one that does not exist is a fault, not a crash."""
    (write_expert(tmp_path) / "expert.yaml").write_text("name: 2024-13-45\n")
    assert "legal/expert.yaml: not YAML" in faults(tmp_path)[0]


def test_who_may_use_it_and_how_it_reads_documents(tmp_path: Path) -> None:
    """Without a word an expert is everybody's, and reads documents in the common wording."""
    write_expert(tmp_path, "legal")
    write_expert(tmp_path, "secret", private=True, documents="Rest on:\n{documents}\n")
    catalog = load_catalog(tmp_path, BASE_MODELS)
    legal, secret = catalog.expert("legal"), catalog.expert("secret")
    assert (legal.private, legal.documents) == (False, "")
    assert (secret.private, secret.documents) == (True, "Rest on:\n{documents}")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"documents": "Read them."}, "documents must hold {documents} once, where they stand"),
        ({"documents": "{documents} {documents}"}, "documents must hold {documents} once"),
        ({"private": "certainly"}, "private: Input should be a valid boolean"),
    ],
)
def test_faults_of_the_new_keys_are_told(
    tmp_path: Path, changes: dict[str, object], fault: str
) -> None:
    """A wording without a place for documents, and a word that is no boolean."""
    write_expert(tmp_path, **changes)  # type: ignore[arg-type]
    (found,) = faults(tmp_path)
    assert found.startswith("legal/expert.yaml:")
    assert fault in found
