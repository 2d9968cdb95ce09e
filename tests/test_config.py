"""Settings: where they come from, which wins, and what a bad one says."""

import json
from pathlib import Path

import pytest
import yaml

from tame_router.config_backends import LitellmSettings, VllmSettings
from tame_router.config_file import effective, load_settings, schema, secret
from tame_router.errors import ConfigError


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, so that no tame.yaml is found by chance."""
    monkeypatch.chdir(tmp_path)


def write(path: Path, text: str) -> Path:
    """Write a configuration file."""
    file = path / "conf.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_everything_has_a_default() -> None:
    """Without file and variables the service can start on loopback."""
    settings = load_settings()
    assert settings.server.host == "127.0.0.1"
    assert isinstance(settings.backends["local"], VllmSettings)


def test_variables_win_over_the_file_and_arguments_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each source overlays the one below, value by value."""
    file = write(tmp_path, "server: {port: 1, host: 0.0.0.0, grace_s: 3}")
    monkeypatch.setenv("TAME_SERVER__PORT", "2")
    monkeypatch.setenv("TAME_SERVER__GRACE_S", "4")
    settings = load_settings(file, {"server": {"port": 5}})
    assert (settings.server.port, settings.server.grace_s) == (5, 4)
    assert settings.server.host == "0.0.0.0"  # noqa: S104 - a value, nothing is bound


def test_the_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TAME_CONFIG names the file; without it tame.yaml in the folder is read."""
    (tmp_path / "tame.yaml").write_text("server: {port: 7}")
    assert load_settings().server.port == 7
    monkeypatch.setenv("TAME_CONFIG", str(write(tmp_path, "server: {port: 8}")))
    assert load_settings().server.port == 8


def test_backends_are_of_two_kinds(tmp_path: Path) -> None:
    """A backend is vLLM unless its kind says otherwise."""
    text = "backends: {a: {base_url: 'http://x/v1'}, b: {kind: litellm, base_model: openai/m}}"
    backends = load_settings(write(tmp_path, text)).backends
    assert isinstance(backends["a"], VllmSettings)
    assert isinstance(backends["b"], LitellmSettings)


LITELLM = "backends: {{a: {{kind: litellm, base_model: openai/m, api_base: '{}'}}}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server: {prt: 1}", "server.prt (or TAME_SERVER__PRT)"),
        ("server: {port: 70000}", "server.port (or TAME_SERVER__PORT): Input should be less"),
        ("log: {level: loud}", "log.level"),
        ("backends: {a: {kind: foo}}", "backends.a.kind (or TAME_BACKENDS__A__KIND): expected vll"),
        ("backends: {a: {stall_timeout_s: .nan}}", "backends.a.stall_timeout_s"),
        ("backends: {a: {base_url: nowhere}}", "backends.a.base_url"),
        ("backends: {a: {base_url: 'http://h:99999/v1'}}", "backends.a.base_url"),
        ("backends: {a: {base_url: 'http://h:abc/v1'}}", "its port is no number"),
        ("backends: {a: {base_url: 'http://h:0/v1'}}", "its port is 0"),
        ("backends: {a: {base_url: 'http://[::1/v1'}}", "its brackets are not closed"),
        ("backends: {a: {base_url: 'https:///v1'}}", "it names no host"),
        ("backends: {a: {base_url: 'http://h/v1?a=b'}}", "it has a query or a fragment"),
        ("backends: {a: {base_urls: ['http://h/v1#b']}}", "it has a query or a fragment"),
        (f"backends: {{a: {{base_url: 'http://{'a' * 64}/v1'}}}}", "longer than 63 characters"),
        ("backends: {a: {base_url_dns: 'http://h:99999/v1'}}", "its port is no number"),
        (LITELLM.format("nowhere"), "begins neither with http:// nor"),
        (LITELLM.format("https://h:0/v1"), "its port is 0; expected an address like http"),
        (LITELLM.format("https://a b/v1"), "it has white space in it"),
        (
            "backends: {a: {base_url_dns: 'https://engines/v1'}}",
            "behind https are listed in base_u",
        ),
        ("backends: {a: {base_url_dns: 'engines:8100'}}", "backends.a.base_url_dns"),
        (
            "backends: {a: {base_urls: ['http://x/v1'], base_urls_file: replicas.txt}}",
            "base_urls and base_urls_file both name the replicas; expected one of them",
        ),
        (
            "backends: {a: {replicas: {cool_down_s: 60}}}",
            "cool_down_s is 60; expected at most max_cool_down_s, 30",
        ),
        ("backends: {}", "backends (or TAME_BACKENDS)"),
        ("[1, 2]", "expected keys and values"),
        ("a: [", "is not YAML"),
        ("state_dir: 2024-13-45", "is not YAML"),
    ],
)
def test_a_bad_value_is_named(tmp_path: Path, text: str, expected: str) -> None:
    """A value that cannot be used stops start-up, with key, variable, and what was expected."""
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text))
    assert expected in caught.value.message


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value from the environment is told by its variable."""
    monkeypatch.setenv("TAME_SERVER__PORT", "many")
    with pytest.raises(ConfigError, match=r"from TAME_SERVER__PORT.*seen 'many'"):
        load_settings()


def test_a_variable_that_nobody_reads_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt section is told, not passed over."""
    monkeypatch.setenv("TAME_SEVRER__PORT", "1")
    with pytest.raises(ConfigError, match="TAME_SEVRER__PORT: there is no setting 'sevrer'"):
        load_settings()


def test_a_variable_that_is_not_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole section given as broken JSON is told."""
    monkeypatch.setenv("TAME_BACKENDS", "{")
    with pytest.raises(ConfigError, match="backends"):
        load_settings()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A path that leads nowhere stops start-up."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_settings(tmp_path / "nowhere.yaml")


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    """A file of comments changes nothing."""
    assert load_settings(write(tmp_path, "# nothing\n")) == load_settings()


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    """Neither the printed settings nor an error quote a key."""
    text = "backends: {local: {api_key: hunter2, kind: foo}}"
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text))
    assert "hunter2" not in caught.value.message
    shown = effective(load_settings(write(tmp_path, text.replace(", kind: foo", ""))))
    assert "hunter2" not in shown
    assert yaml.safe_load(shown)["backends"]["local"]["api_key"] == "**********"


def test_a_key_may_lie_in_a_file(tmp_path: Path) -> None:
    """A key file wins over the key, and one that cannot be read is named."""
    (tmp_path / "key").write_text(" s3cret\n")
    local = VllmSettings.model_validate({"api_key": "other", "api_key_file": tmp_path / "key"})
    assert secret(local.api_key, local.api_key_file) == "s3cret"
    assert secret(local.api_key, None) == "other"
    with pytest.raises(ConfigError, match="api_key_file"):
        secret(local.api_key, tmp_path / "nowhere")


@pytest.mark.parametrize(
    "store",
    ["{url: 'pg://u:hunter2@h', uri: 1}", "{url: [hunter2]}", "'pg://u:hunter2@h'", "[hunter2]"],
)
def test_the_address_of_the_store_is_never_shown(tmp_path: Path, store: str) -> None:
    """It may hold a password: however broken it is no error quotes it, nor do the settings."""
    with pytest.raises(ConfigError, match="store") as caught:
        load_settings(write(tmp_path, f"store: {store}"))
    assert "hunter2" not in caught.value.message
    shown = effective(load_settings(write(tmp_path, "store: {url: 'pg://u:hunter2@h'}")))
    assert "hunter2" not in shown


def test_the_schema_is_for_editors() -> None:
    """The exported schema describes every section, with words."""
    document = json.loads(schema())
    assert set(document["properties"]) >= {"server", "backends", "routing", "engine", "log"}
    port = document["$defs"]["ServerSettings"]["properties"]["port"]
    assert port["description"]


@pytest.mark.parametrize("value", ['{"api_key":"hunter2"', "hunter2"])
def test_a_broken_backend_is_never_quoted(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """What was meant to be a whole backend may hold its key, however broken it is."""
    monkeypatch.setenv("TAME_BACKENDS__LOCAL", value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "hunter2" not in caught.value.message
    assert "TAME_BACKENDS__LOCAL" in caught.value.message


@pytest.mark.parametrize("written", ["off", "'off'", "convert", "count"])
def test_the_guard_is_set_by_a_word(tmp_path: Path, written: str) -> None:
    """`off` without quotes is False in YAML, and is understood as it was meant."""
    settings = load_settings(write(tmp_path, f"guard: {{simplified: {written}}}"))
    assert settings.guard.simplified.value == written.strip("'")
    assert load_settings().guard.simplified.value == "count"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http: {port: 1}\nlog: {}\nhttp: {port: 2}\n", "line 3: http stands twice"),
        ("server:\n  port: 1\n  port: 2\n", r"line 3: server\.port stands twice"),
    ],
)
def test_a_key_that_stands_twice_is_named(tmp_path: Path, text: str, told: str) -> None:
    """Of two values one would be lost without a word."""
    file = tmp_path / "tame.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        load_settings(file)
