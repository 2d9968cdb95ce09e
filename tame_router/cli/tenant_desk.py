"""What the tenant commands share: the way to the store, and how a value is shown."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tame_router.cli.stranger_text import plain, shown

if TYPE_CHECKING:
    from tame_router.tenancy.access import ApiKey, Binding
    from tame_router.tenancy.administration import Administration
    from tame_router.tenancy.tenant import Tenant


@contextmanager
def administration(arguments: argparse.Namespace) -> "Iterator[Administration]":
    """Open the store that the settings name."""
    from tame_router.audit.building import open_history
    from tame_router.config_file import load_settings
    from tame_router.store import Database
    from tame_router.tenancy.administration import Administration
    from tame_router.tenancy.store import TenantStore

    settings = load_settings(arguments.config)

    def experts() -> Sequence[str]:
        from tame_router import app

        return app.build_catalog(settings).names

    database = Database(settings.store, settings.state_dir)
    try:
        store = TenantStore(database, open_history(database))
        yield Administration(store, experts, by=f"command/{os.getuid()}")
    finally:
        database.close()


def names(text: str) -> frozenset[str]:
    """Read names between commas; white space around them and empty ones are passed over."""
    return frozenset(filter(None, (name.strip() for name in text.split(","))))


def write_json(*documents: Mapping[str, Any]) -> None:
    """Write one JSON object a line."""
    for document in documents:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")


def write_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table on a terminal, tabs in a pipe."""
    if not sys.stdout.isatty():
        sys.stdout.writelines("\t".join(map(plain, row)) + "\n" for row in rows)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*map(shown, row))
    Console(highlight=False).print(table)


def show_tenant(tenant: "Tenant", *, as_json: bool) -> None:
    """Show a tenant."""
    facts = tenant_facts(tenant)
    if as_json:
        write_json(facts)
        return
    for name, value in facts.items():
        sys.stdout.write(f"{name:<18} {plain(_told(value))}\n")


def tenant_facts(tenant: "Tenant") -> dict[str, Any]:
    """Give what is known of a tenant, for JSON."""
    import dataclasses

    limits = dataclasses.asdict(tenant.limits)
    return {
        "name": tenant.name,
        "title": tenant.title,
        "read": sorted(tenant.read),
        "publish": sorted(tenant.publish),
        "joins": sorted(tenant.joins),
        "priority": tenant.priority,
        "limits": {name: value for name, value in limits.items() if value is not None},
        "retain_texts_days": tenant.retain_texts_days,
        "suspended": tenant.suspended,
    }


def key_facts(key: "ApiKey") -> dict[str, Any]:
    """Give what may be known of a key, for JSON; never its digest."""
    return {
        "key_id": key.key_id,
        "tenant": key.tenant,
        "scopes": sorted(key.scopes),
        "title": key.title,
        "create_time": time_text(key.create_time),
        "expire_time": time_text(key.expire_time),
        "revoke_time": time_text(key.revoke_time),
    }


def binding_facts(binding: "Binding") -> dict[str, Any]:
    """Give a binding, for JSON."""
    return {
        "kind": binding.kind.value,
        "name": binding.name,
        "tenant": binding.tenant,
        "scopes": sorted(binding.scopes),
    }


def time_text(moment: datetime | None) -> str:
    """Write a time in UTC; empty: there is none."""
    return "" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _told(value: Any) -> str:
    """Write a value for people."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "-"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value) or "-"
