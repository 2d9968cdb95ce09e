"""Replicas by a file."""

from pathlib import Path

import pytest

from tame_router.backends.replicas.file_source import MOST_BYTES, FileSource, parse_addresses
from tame_router.backends.replicas.source import MOST_REPLICAS
from tame_router.errors import ConfigError

pytestmark = pytest.mark.anyio

TWO = ("http://10.0.0.1:8100/v1", "http://10.0.0.2:8100/v1")


@pytest.mark.parametrize(
    ("text", "in_yaml"),
    [
        (f"{TWO[0]}\n{TWO[1]}\n", False),
        (f"# ours\r\n\r\n  {TWO[0]}/  # the first\r\n{TWO[1]}", False),
        (f"- {TWO[0]}\n- {TWO[1]}  # the second\n", True),
        (f"base_urls: [{TWO[0]}, {TWO[1]}]", True),
    ],
)
def test_both_forms(text: str, in_yaml: bool) -> None:
    """Lines and YAML say the same, with comments."""
    assert parse_addresses(text, in_yaml=in_yaml) == TWO


@pytest.mark.parametrize(
    ("text", "in_yaml", "told"),
    [
        ("", False, "names 0 replicas"),
        ("# nobody\n", False, "names 0 replicas"),
        (f"{TWO[0]}\n10.0.0.2:8100\n", False, "names '10.0.0.2:8100'; expected addresses like"),
        (f"{TWO[0]} {TWO[1]}", False, "expected addresses like"),
        (f"{TWO[0]}\n{TWO[0]}/\n", False, "twice; expected each replica once"),
        ("http://h/v1\n" * 2 * MOST_REPLICAS, False, "names 8192 replicas; expected 1 to 4096"),
        ("http://10.0.0.2:99999/v1", False, "its port is no number"),
        ("- http:///v1", True, "it names no host"),
        (f"{TWO[0]}?a=b", False, "it has a query or a fragment"),
        ("", True, "holds no list of addresses"),
        ("[]", True, "names 0 replicas"),
        (f"base_urls:\n  - {TWO[0]}\n - {TWO[1]}", True, "is not YAML at line 3"),
        (f"replicas: [{TWO[0]}]", True, "holds no list of addresses"),
        ("- 8100", True, "holds no list of addresses"),
        ("[" * 5_000, True, "is not YAML"),
    ],
)
def test_what_is_refused(text: str, in_yaml: bool, told: str) -> None:
    """A file with anything wrong in it is refused whole, and the message says what."""
    with pytest.raises(ConfigError, match=told) as caught:
        parse_addresses(text, in_yaml=in_yaml)
    assert len(str(caught.value)) < 300


async def test_the_file_is_read_anew(tmp_path: Path) -> None:
    """Each look gives what the file says then; its name says which form it has."""
    path = tmp_path / "replicas.yaml"
    path.write_text(f"- {TWO[0]}\n", encoding="utf-8")
    source = FileSource(path)
    assert await source.addresses() == TWO[:1]
    path.write_text(f"- {TWO[1]}\n", encoding="utf-8")
    assert await source.addresses() == TWO[1:]


async def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """One that is not there, is no text or is huge is refused, and paths are not told."""
    path = tmp_path / "replicas"
    source = FileSource(path)
    with pytest.raises(ConfigError, match=r"cannot be read \(No such file or directory\)") as told:
        await source.addresses()
    assert str(tmp_path) not in str(told.value)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="it is not UTF-8"):
        await source.addresses()
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(ConfigError, match=f"more than {MOST_BYTES} bytes"):
        await source.addresses()
