"""What a worker is told beyond the configuration that it reads itself. Values only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tame_router.config import Settings

Given = Mapping[str, Mapping[str, Any]]
"""Values by section and name that win over all others, as `load_settings` takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """How every worker of one set is started.

    Attributes:
        count: Workers, ≥ 1.
        given: What wins over their configuration.
    """

    count: int
    given: Given

    @classmethod
    def of(cls, settings: Settings, given: Given, ports: Mapping[str, int], pool: Path) -> "Orders":
        """Tell from the settings.

        Args:
            settings: As read, with what the command line gave.
            given: What the command line gave.
            ports: Port by setting: `server.port`.
            pool: Folder by which workers show their metrics as one.
        """
        count = max(settings.server.workers, 1)
        values: dict[str, dict[str, Any]] = {name: dict(each) for name, each in given.items()}
        for setting, port in ports.items():
            section, name = setting.split(".")
            values.setdefault(section, {})[name] = port
        values["server"] |= {
            "workers": 0,
            "reuse_port": True,
            "max_answers": -(-settings.server.max_answers // count),
        }
        # Each judges canaries alone, and the first verdict counts: together they err no more often.
        registry = values.setdefault("registry", {})
        error_share = settings.registry.canary.error_share / count
        registry["canary"] = {**registry.get("canary", {}), "error_share": error_share}
        values.setdefault("telemetry", {})["metrics_pool"] = str(pool)
        return cls(count=count, given=values)

    def text(self) -> str:
        """Write what is given as JSON, for a command line."""
        return json.dumps(self.given)
