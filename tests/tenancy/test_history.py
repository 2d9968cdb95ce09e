"""How a change of a tenant is told."""

import dataclasses

from tame_router.tenancy.history import Forgetful, change_of
from tame_router.tenancy.tenant import Limits
from tests.tenancy.known import FACTORY, HOSPITAL, LATER, binding, key


def test_a_change_holds_the_fields_that_differ() -> None:
    """Before and after, as JSON values; who made it; nothing where nothing differs."""
    limits = Limits(requests_per_minute=5)
    changed = dataclasses.replace(FACTORY, read=frozenset({"legal", "*"}), limits=limits)
    change = change_of("operations/key", FACTORY, changed)
    assert change is not None
    assert (change.by, change.tenant, change.what, change.name) == (
        "operations/key", "factory", "tenant", "factory",
    )  # fmt: skip
    assert change.before == {"read": ["manufacturing"], "limits": {}}
    assert change.after == {"read": ["*", "legal"], "limits": {"requests_per_minute": 5}}
    assert change_of("x", HOSPITAL, HOSPITAL) is None
    assert change_of("x", None, None) is None


def test_what_is_made_has_no_before_and_what_is_taken_away_no_after() -> None:
    """And a key is told without its digest."""
    made = change_of("x", None, key("k1", expire_time=LATER))
    assert made is not None
    assert (made.what, made.name, made.tenant, made.before) == ("key", "k1", "hospital", {})
    assert made.after["expire_time"] == "2026-12-01T12:00:00.123456+00:00"
    assert "digest" not in made.after
    gone = change_of("x", binding("dns:his.tw"), None)
    assert gone is not None
    assert (gone.name, gone.after) == ("certificate_san dns:his.tw", {})
    assert gone.before["scopes"] == ["chat", "usage"]


def test_who_remembers_nothing_knows_nothing() -> None:
    """A store without a history keeps tenants alone."""
    forgetful = Forgetful()
    change = change_of("x", None, FACTORY)
    assert change is not None
    forgetful.add(None, change)
    assert not forgetful.knows(None, "factory")
