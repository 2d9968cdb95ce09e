"""The packages of the extra `report`: are they there? Neither is imported here."""

from importlib.util import find_spec

from tame_router.errors import ConfigError

PACKAGES = ("jinja2", "matplotlib")


def require_installed() -> None:
    """Check that the packages a page needs can be imported, without doing so.

    Raises:
        ConfigError: When one is not installed.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"an HTML report needs {' and '.join(missing)}, not installed here;"
            " install with `pip install 'tame-router[report]'`"
        )
