"""Read the settings: one YAML file, overlaid by `TAME_` environment variables.

Read once, at start. A nested value is reached with two underscores:
`TAME_SERVER__PORT=50052`. An unknown key or a bad value stops start-up and is named.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from tame_router.config import Settings
from tame_router.errors import ConfigError
from tame_router.located_yaml import parse

PREFIX = "TAME_"
FILE_VARIABLE = "TAME_CONFIG"
CLIENT_VARIABLE = "TAME_API_KEY"
"""Of `tame ask`; no setting, and it may stand in the environment of any command."""
DEFAULT_FILE = Path("tame.yaml")


def load_settings(
    file: Path | None = None, given: Mapping[str, Mapping[str, Any]] | None = None
) -> Settings:
    """Read the settings.

    Args:
        file: The YAML file; None: what `TAME_CONFIG` names, else `tame.yaml` where it exists.
        given: Values by section that win over all, from the command line.

    Raises:
        ConfigError: When the file cannot be read, or a key or value is not valid.
    """
    path = config_path(file)
    values = _read(path) if path else {}
    _refuse_unknown_variables()

    class Layered(BaseSettings, Settings):
        """What the command line gave wins over the environment, and that over the file."""

        model_config = SettingsConfigDict(
            env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            """Order the sources, the strongest first."""
            strongest = InitSettingsSource(settings_cls, dict(given or {}))
            return strongest, env_settings, InitSettingsSource(settings_cls, values)

    try:
        return Settings(**dict(Layered()))
    except ValidationError as error:
        faults = "\n".join(f"  {_fault(f)}" for f in error.errors(include_url=False))
        raise ConfigError(
            f"the configuration is not valid ({path or 'no file'}):\n{faults}"
        ) from None
    except ValueError as error:
        # pydantic-settings reports an unreadable JSON value of a variable this way.
        raise ConfigError(f"the environment is not valid: {error}") from None


def config_path(file: Path | None) -> Path | None:
    """Give the configuration file: the one given, what `TAME_CONFIG` names, or `tame.yaml`."""
    path = file or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    return DEFAULT_FILE if path is None and DEFAULT_FILE.is_file() else path


def schema() -> str:
    """Give the JSON schema of the file, for editors."""
    document = Settings.model_json_schema()
    document["title"] = "TAME Router configuration"
    return json.dumps(document, indent=2, ensure_ascii=False)


def effective(settings: Settings) -> str:
    """Write settings as YAML, secrets masked."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def secret(value: SecretStr, file: Path | None) -> str:
    """Give a secret from its setting, or from the file that holds it.

    Raises:
        ConfigError: When the file cannot be read.
    """
    if file is None:
        return value.get_secret_value()
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"api_key_file {file}: cannot be read: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        located = parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path}: {error}") from error
    except (yaml.YAMLError, ValueError) as error:  # a date that is none is a ValueError
        raise ConfigError(f"configuration file {path} is not YAML: {error}") from error
    document = located.value
    if located.duplicates:
        place, line = next(iter(located.duplicates.items()))
        raise ConfigError(
            f"configuration file {path}, line {line}: {'.'.join(map(str, place))} stands twice;"
            " keep one of them"
        )
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(
            f"configuration file {path}: expected keys and values, not a list or text"
        )
    return {str(key): value for key, value in document.items()}


def _refuse_unknown_variables() -> None:
    known = {name.upper() for name in Settings.model_fields}
    for variable in os.environ:
        section = variable.removeprefix(PREFIX).split("__")[0]
        if (
            variable.startswith(PREFIX)
            and variable not in {FILE_VARIABLE, CLIENT_VARIABLE}
            and section.upper() not in known
        ):
            raise ConfigError(
                f"environment variable {variable}: there is no setting {section.lower()!r};"
                f" there are {', '.join(sorted(Settings.model_fields))}"
            )


def _fault(fault: Any) -> str:
    place = [str(part) for part in fault["loc"]]
    message = fault["msg"]
    if place[0] == "backends" and len(place) > 2:
        del place[2]  # the kind, which pydantic puts into the path
    if fault["type"] == "union_tag_invalid":
        place, message = [*place, "kind"], "expected vllm or litellm"
    key = ".".join(place)
    variable = PREFIX + "__".join(part.upper() for part in place)
    source = f"from {variable}" if variable in os.environ else f"or {variable}"
    return f"{key} ({source}): {message}{_seen(key, fault)}"


def _seen(key: str, fault: Any) -> str:
    """Quote a value, unless it may be a secret or hold one."""
    value = fault["input"]
    whole_backend = fault["loc"][0] == "backends" and len(fault["loc"]) < 3
    store = fault["loc"][0] == "store"  # its URL may hold a password
    if "key" in key or whole_backend or store or isinstance(value, dict | list):
        return ""
    return f", seen {str(value)[:80]!r}"
