"""Make the quota that the settings ask for."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tame_router.config import Settings
from tame_router.quota.keeper import Keeper
from tame_router.quota.local import LocalQuota
from tame_router.quota.quota import Quota

if TYPE_CHECKING:
    from tame_router.store import Database


def build_quota(settings: Settings, watch: Callable[[bool], None] | None = None) -> Quota:
    """Make the quota: shared through Redis where an address is set, in the store otherwise.

    Call it on the event loop. The store is not opened before a tenant with limits asks.

    Args:
        settings: All settings.
        watch: Is told when Redis goes (True) and when it is back (False).

    Raises:
        ConfigError: When the address of Redis cannot be used, or its library is not installed.
    """
    url = settings.quota.redis_url.get_secret_value()
    if not url:
        return LocalQuota(Keeper(lambda: _database(settings)))
    from tame_router.quota.redis_link import RedisLink
    from tame_router.quota.shared import SharedQuota

    quota = SharedQuota(RedisLink(url), settings.quota.local_share, watch)
    quota.connect()
    return quota


def _database(settings: Settings) -> "Database":
    from tame_router.store import Database

    return Database(settings.store, settings.state_dir)
