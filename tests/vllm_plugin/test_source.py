"""Which names an engine gets a folder for, and what its log says of the others."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.errors import ConfigError
from tame_router.registry.manifest import REVISION_NAME
from tame_router.vllm_plugin.source import AdapterSource
from tame_router.vllm_plugin.variables import Variables, read_variables
from tests.vllm_plugin.revisions import SMALL, keep, spoil


@pytest.fixture
def variables(tmp_path: Path) -> Variables:
    """Give settings over an empty store."""
    return Variables(store=str(tmp_path / "store"), cache=tmp_path / "copies")


def test_a_revision_of_the_store_is_given(tmp_path: Path, variables: Variables) -> None:
    """Its folder holds what vLLM loads."""
    name = keep(tmp_path / "store", tmp_path / "aside")
    folder = AdapterSource(variables).folder(name)
    assert folder is not None
    assert folder.is_absolute()
    assert (folder / "adapter_config.json").read_bytes() == b"{}"


@pytest.mark.parametrize(
    "name",
    [
        "../legal",
        "../store/legal--0123456789abcdef",
        "/etc/passwd",
        "legal",
        "legal--0123456789ABCDEF",
        "legal--0123456789abcde",
        "legal--0123456789abcdef/",
        "legal--0123456789abcdef\n",
        "legal--0123456789abcdef\x00",
        "ｌegal--0123456789abcdef",
        "法律--0123456789abcdef",
    ],
)
def test_other_names_touch_nothing(tmp_path: Path, variables: Variables, name: str) -> None:
    """A name that is no revision's makes no folder, and asks no store."""
    assert AdapterSource(variables).folder(name) is None
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=60))
def test_no_text_but_a_name_reaches_the_store(name: str) -> None:
    """Whatever is asked for, a store is connected to only for what matches whole."""
    asked = []

    def connect(url: str) -> object:
        asked.append(url)
        raise ConfigError(url)

    source = AdapterSource(
        Variables(store="s3://x/y", cache=Path("/nowhere")),
        connect,  # type: ignore[arg-type]
    )
    assert source.folder(name) is None
    assert bool(asked) == (REVISION_NAME.fullmatch(name) is not None)


def test_an_unknown_digest_is_told(variables: Variables, caplog: pytest.LogCaptureFixture) -> None:
    """The engine's log says that there is no such revision."""
    assert AdapterSource(variables).folder("legal--0123456789abcdef") is None
    assert "holds no revision" in caplog.text


def test_rotten_bytes_raise_an_alarm(
    tmp_path: Path, variables: Variables, caplog: pytest.LogCaptureFixture
) -> None:
    """What is not what its digest says is not given, and cannot be overlooked."""
    name = keep(tmp_path / "store", tmp_path / "aside")
    spoil(tmp_path / "store", SMALL["adapter_model.safetensors"])
    assert AdapterSource(variables).folder(name) is None
    (record,) = [one for one in caplog.records if one.levelno == logging.CRITICAL]
    assert record.getMessage().startswith(f"ALARM: {name} is not served")


def test_only_experts_on_the_list(
    tmp_path: Path, variables: Variables, caplog: pytest.LogCaptureFixture
) -> None:
    """An engine that is told whose adapters it serves loads nobody else's."""
    legal, medical = (keep(tmp_path / "store", tmp_path / "aside", x) for x in ("legal", "medical"))
    source = AdapterSource(
        Variables(store=variables.store, cache=variables.cache, experts=frozenset({"medical"}))
    )
    assert source.folder(legal) is None
    assert "serves medical alone" in caplog.text
    assert source.folder(medical) is not None


def test_weights_of_another_kind_are_refused(
    tmp_path: Path, variables: Variables, caplog: pytest.LogCaptureFixture
) -> None:
    """Without safetensors vLLM would unpickle what it finds instead."""
    files = {"adapter_config.json": b"{}", "adapter_model.bin": b"pickle"}
    name = keep(tmp_path / "store", tmp_path / "aside", files=files)
    assert AdapterSource(variables).folder(name) is None
    assert "adapter_model.safetensors" in caplog.text


def test_a_full_or_broken_disk_is_told(
    tmp_path: Path, variables: Variables, caplog: pytest.LogCaptureFixture
) -> None:
    """No exception reaches vLLM, which would answer 500 without saying why."""
    name = keep(tmp_path / "store", tmp_path / "aside")
    variables.cache.write_bytes(b"a file where a folder should be")
    assert AdapterSource(variables).folder(name) is None
    assert f"cannot load {name}" in caplog.text


def test_variables_are_read() -> None:
    """Folder, limit and experts as the environment says, or as they are by default."""
    given = {
        "TAME_ADAPTER_STORE": "s3://adapters",
        "TAME_ADAPTER_CACHE": "/copies",
        "TAME_ADAPTER_CACHE_BYTES": "1000",
        "TAME_ADAPTER_EXPERTS": "legal, medical,",
    }
    read = read_variables(given)
    assert read == Variables(
        store="s3://adapters",
        cache=Path("/copies"),
        cache_bytes=1000,
        experts=frozenset({"legal", "medical"}),
    )
    assert read_variables({}).store == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"TAME_ADAPTER_STORE": "/store"}, "TAME_ADAPTER_CACHE is not"),
        ({"TAME_ADAPTER_CACHE_BYTES": "0"}, "'0' is no number"),
        ({"TAME_ADAPTER_CACHE_BYTES": "16 GiB"}, "'16 GiB' is no number"),
        ({"TAME_ADAPTER_CACHE_BYTES": "-1"}, "'-1' is no number"),
    ],
)
def test_variables_that_cannot_be(given: dict[str, str], said: str) -> None:
    """They stop the engine's start, by name."""
    with pytest.raises(ConfigError, match=said):
        read_variables(given)
