"""What is done to tenants is checked, kept, and told in the log."""

import dataclasses
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tame_router.config import StoreSettings
from tame_router.errors import InvalidRequestError, KeyNotFoundError, TenantNotFoundError
from tame_router.store import Database
from tame_router.telemetry import log
from tame_router.tenancy.access import Binding, BindingKind
from tame_router.tenancy.administration import Administration
from tame_router.tenancy.store import TenantStore
from tame_router.tenancy.tenant import Limits, Tenant
from tests.tenancy.known import FACTORY, HOSPITAL, LATER, NOON, binding, key

EXPERTS = ("legal", "manufacturing", "medical")
LONG_AGO = NOON - timedelta(days=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Administration]:
    """Give an administration of an empty store."""
    database = Database(StoreSettings(), tmp_path)
    yield Administration(TenantStore(database), lambda: EXPERTS, by="operations/key")
    database.close()


def changed(**fields: object) -> Callable[[Administration], object]:
    """Give the creation of the factory with some fields changed."""
    return lambda desk: desk.create(dataclasses.replace(FACTORY, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("work", "field", "words"),
    [
        (changed(name="Factory"), "name", "'Factory'; expected 2 to 63 lower-case"),
        (changed(name="a"), "name", "expected 2 to 63"),
        (changed(name="-a"), "name", "no hyphen"),
        (changed(name="a" * 64), "name", "expected 2 to 63"),
        (changed(title="x" * 201), "title", "has 201 characters, at most 200"),
        (changed(title="a\x1bb"), "title", "cannot be shown"),
        (changed(joins=frozenset({"A B"})), "joins", "'A B'; expected names of joins"),
        (changed(priority=101), "priority", "101; expected -100 to 100"),
        (changed(retain_texts_days=-1), "retain_texts_days", "expected 0 to 36500"),
        (changed(limits=Limits(tokens_per_day=-1)), "tokens_per_day", "-1; expected 0 to"),
        (changed(limits=Limits(tokens_per_day=2**63)), "tokens_per_day", "expected 0 to"),
        (changed(read=frozenset({"astrology"})), "read", "there are: legal, manufact"),
        (changed(publish=frozenset({"astrology"})), "publish", "'astrology', which is no"),
        (changed(publish=frozenset({"*"})), "publish", "one by one, by name"),
        (lambda desk: desk.create(FACTORY, "short"), "request_id", "expected 8 to 64"),
        (lambda desk: desk.grant("factory"), "read", "no expert is named"),
        (lambda desk: desk.grant("factory", ["astrology"]), "read", "no expert; there are"),
        (lambda desk: desk.grant("factory", [], ["*"]), "publish", "by name"),
        (lambda desk: desk.grant("factory", [], ["packaging"]), "publish", "make one of that name"),
        (lambda desk: desk.grant("factory", [], ["*"], new_expert=True), "publish", "by name"),
        (lambda desk: desk.grant("factory", [], ["../x"], new_expert=True), "publish", "called"),
        (lambda desk: desk.grant("factory", ["new"], new_expert=True), "read", "is no expert"),
        (lambda desk: desk.revoke("factory"), "read", "no expert is named"),
        (lambda desk: desk.add_key(key("a", scopes=frozenset())), "scopes", "at least one of"),
        (lambda desk: desk.add_key(key("a", expire_time=NOON)), "expire_time", "has passed"),
        (
            lambda desk: desk.rotate_key("a", lambda k: k, overlap=timedelta(days=366), now=NOON),
            "overlap",
            "expected 0 to 365 days",
        ),
        (lambda desk: desk.bind(binding("his.hospital.tw")), "name", "expected `dns:his"),
        (lambda desk: desk.bind(binding("")), "name", "has 0 characters"),
        (lambda desk: desk.bind(binding("dns:a\n")), "name", "cannot be shown"),
        (
            lambda desk: desk.unbind(BindingKind.CERTIFICATE_SUBJECT, "his"),
            "name",
            "expected RFC 4514",
        ),
        (lambda desk: desk.unbind(BindingKind.JWT, "hospital"), "name", "the issuer, a space"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    desk: Administration,
    work: Callable[[Administration], object],
    field: str,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The error names the field, what was seen and what is expected; nothing changes."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    before = desk.snapshot()
    with pytest.raises(InvalidRequestError, match=words) as caught:
        work(desk)
    assert caught.value.field == field
    assert desk.snapshot() == before
    assert not caplog.records


def test_an_expert_can_be_granted_before_it_is_there(desk: Administration) -> None:
    """Where the operator says so: the tenant may make it, and is kept from no other rule."""
    desk.create(dataclasses.replace(FACTORY, publish=frozenset()))
    assert desk.grant("factory", (), ["packaging"], new_expert=True).publish == {"packaging"}
    assert desk.revoke("factory", (), ["packaging"]).publish == frozenset()


def test_everything_done_is_told_with_who_did_it(
    desk: Administration, caplog: pytest.LogCaptureFixture
) -> None:
    """One event for each change, and no digest in any."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    desk.create(dataclasses.replace(HOSPITAL, suspended=False))
    desk.update("hospital", lambda t: dataclasses.replace(t, title="new"))
    assert desk.suspend("hospital", suspended=True).suspended
    assert not desk.suspend("hospital", suspended=False).suspended
    assert desk.grant("hospital", ["legal"], ["legal"]).publish == {"legal", "medical"}
    assert desk.revoke("hospital", ["*", "other"]).read == {"legal", "medical"}
    desk.add_key(key("a"))
    desk.rotate_key("a", lambda _: key("b"), overlap=timedelta(hours=1), now=NOON)
    desk.revoke_key("b", LATER)
    bound = desk.bind(binding("dns:HIS.hospital.tw"))
    assert bound.name == "dns:his.hospital.tw"
    assert desk.bindings("hospital") == [bound]
    assert desk.unbind(bound.kind, "dns:HIS.hospital.tw")
    assert not desk.unbind(bound.kind, bound.name)
    desk.delete("hospital")
    assert [record.getMessage() for record in caplog.records] == [
        "tenant.created",
        "tenant.updated",
        "tenant.suspended",
        "tenant.resumed",
        "tenant.granted",
        "tenant.revoked",
        "key.created",
        "key.rotated",
        "key.revoked",
        "identity.bound",
        "identity.unbound",
        "tenant.deleted",
    ]
    facts = [vars(record)["facts"] for record in caplog.records]
    assert {fact["by"] for fact in facts} == {"operations/key"}
    assert "digest" not in str(facts)


def test_names_are_kept_as_they_are_looked_up(desk: Administration) -> None:
    """Subjects, URIs and tokens keep their letters; hosts are the same in any."""
    desk.create(FACTORY)
    for kind, name in (
        (BindingKind.CERTIFICATE_SUBJECT, "CN=Press 7,O=Factory"),
        (BindingKind.CERTIFICATE_SAN, "uri:spiffe://Factory/press"),
        (BindingKind.CERTIFICATE_SAN, "email:Press@factory.tw"),
        (BindingKind.JWT, "https://issuer.example/ Factory One"),
    ):
        made = desk.bind(Binding(kind=kind, name=name, tenant="factory", scopes=key("a").scopes))
        assert made.name == name
    assert len(desk.bindings("factory")) == 4


def test_rotation_lets_both_count_for_a_while(desk: Administration) -> None:
    """The old key never lasts longer than it would have; one that ended cannot be rotated."""
    desk.create(HOSPITAL)
    desk.add_key(key("a", revoke_time=NOON + timedelta(hours=1)))
    overlap = timedelta(days=1)
    desk.rotate_key("a", lambda _: key("b"), overlap=overlap, now=NOON)
    desk.rotate_key("b", lambda _: key("c"), overlap=overlap, now=NOON)
    ends = {k.key_id: k.revoke_time for k in desk.keys("hospital")}
    assert ends == {"a": NOON + timedelta(hours=1), "b": NOON + overlap, "c": None}
    with pytest.raises(InvalidRequestError, match="does not count any more"):
        desk.rotate_key("b", lambda _: key("d"), overlap=overlap, now=LATER)


def test_a_key_is_revoked_once(desk: Administration) -> None:
    """The first end holds; an end to come is brought forward; another's key is not found."""
    desk.create(HOSPITAL)
    desk.add_key(key("a", revoke_time=LONG_AGO))
    desk.add_key(key("b", revoke_time=LATER))
    assert desk.revoke_key("a", NOON).revoke_time == LONG_AGO
    assert desk.revoke_key("b", NOON, tenant="hospital").revoke_time == NOON
    with pytest.raises(KeyNotFoundError, match="'factory' has no key 'b'"):
        desk.revoke_key("b", NOON, tenant="factory")
    with pytest.raises(KeyNotFoundError):
        desk.rotate_key("b", lambda k: k, overlap=timedelta(0), now=NOON, tenant="factory")


def test_who_is_not_there_is_told(desk: Administration) -> None:
    """Looking up a tenant, its keys or its bindings names it."""
    looks: list[Callable[[str], object]] = [desk.tenant, desk.keys, desk.bindings, desk.delete]
    for look in looks:
        with pytest.raises(TenantNotFoundError, match="'nobody'"):
            look("nobody")


def test_experts_are_read_only_where_one_is_named(tmp_path: Path) -> None:
    """The first tenant can be made before there is any expert."""

    def none() -> tuple[str, ...]:
        raise AssertionError("the catalog was read")

    database = Database(StoreSettings(), tmp_path)
    desk = Administration(TenantStore(database), none, by="command")
    assert desk.create(Tenant(name="all", read=frozenset({"*"}))).read == {"*"}
    database.close()
