"""The measurement of the registry: what it is told, what it makes, what it counts."""

from pathlib import Path

import pytest

from bench.adapter_traffic import Traffic
from bench.made_adapter import LAYERS, Size, size_of, write_adapter, write_base
from bench.registry import Figures, read_arguments
from tame_router.client.adapter_folder import read_folder
from tame_router.registry.manifest import FileEntry
from tame_router.registry.validation.base_model import read_base_model
from tame_router.registry.validation.rules import Rules
from tame_router.registry.validation.validation import Validation

SIZE = Size(layers=1, rank=4)
RULES = Rules(max_file_bytes=2**30, max_upload_bytes=2**30, max_rank=16)


def test_the_command_line_has_values_that_measure_what_is_promised() -> None:
    """What is uploaded without a word has 512 MiB at least, and eight clients stream."""
    arguments = read_arguments([])
    assert (arguments.json, arguments.repeats, arguments.clients) == (False, 3, 8)
    assert arguments.size_mb * 10**6 >= 512 * 2**20
    given = read_arguments(["--json", "--size-mb", "2000", "--repeats", "1", "--moves", "2"])
    assert (given.json, given.size_mb, given.repeats, given.moves) == (True, 2000, 1, 2)
    with pytest.raises(SystemExit):
        read_arguments(["--size-mb", "many"])


@pytest.mark.parametrize("least_bytes", [1, 670 * 10**6, 2 * 10**9])
def test_an_adapter_is_as_large_as_asked_for(least_bytes: int) -> None:
    """It has that many bytes, and with a rank less it would not."""
    size = size_of(least_bytes)
    assert size.layers == LAYERS
    assert size.weight_bytes >= least_bytes
    assert size.weight_bytes * (size.rank - 1) < least_bytes * size.rank


def test_the_figures_have_the_names_that_others_read() -> None:
    """The last line is read by programs."""
    assert list(Figures.__dataclass_fields__) == [
        "upload_mb_s",
        "sha256sum_mb_s",
        "publish_ms",
        "rollback_ms",
        "list_10000_ms",
        "requests_during_publish",
        "failed_during_publish",
        "mixed_answers",
    ]


def test_what_is_made_is_an_adapter(tmp_path: Path) -> None:
    """The registry finds nothing wrong with it; another seed makes other bytes."""
    base = read_base_model(write_base(tmp_path / "base"))
    folder = write_adapter(tmp_path / "one", "base", SIZE, 1)
    read = read_folder(folder)
    other = read_folder(write_adapter(tmp_path / "other", "base", SIZE, 2))
    assert read.files != other.files
    check = Validation(RULES, base)
    findings = check.announced(
        "legal",
        [FileEntry(path=f.path, size_bytes=f.size_bytes, sha256=f.sha256) for f in read.files],
    )
    for file in read.files:
        findings += check.feed(file.path, (folder / file.path).read_bytes())
    assert [*findings, *check.finished()] == []
    header_bytes = read.files[-1].size_bytes - SIZE.weight_bytes
    assert 0 < header_bytes < 10_000


@pytest.mark.parametrize(
    ("text", "revisions", "live", "mixed"),
    [
        ("a a", {"one"}, "one", 0),
        ("a a", {"one"}, None, 0),
        ("a a", {"one"}, "two", 1),
        ("a b", {"one"}, "one", 1),
        ("a", {"one"}, "one", 1),
        ("", {"one"}, "one", 1),
        ("a a", {"one", "two"}, None, 1),
        ("a a", set(), None, 1),
        ("a a", {"three"}, None, 1),
    ],
)
def test_an_answer_is_of_one_revision_and_of_the_live_one(
    text: str, revisions: set[str], live: str | None, mixed: int
) -> None:
    """Words and names must agree; which one is live counts while no label moves."""
    traffic = Traffic("127.0.0.1:1", {"one": "a a ", "two": "b b "})
    traffic.judge(text, revisions, live)
    assert traffic.mixed == mixed
    assert traffic.reasons.total() == mixed
