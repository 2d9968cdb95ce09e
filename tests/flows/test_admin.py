"""Administration over gRPC: what it changes counts at once, and who may not is refused."""

import logging
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tame_router import app
from tame_router.config import Settings
from tame_router.identity import api_key
from tame_router.store import FILE
from tame_router.telemetry import log
from tame_router.v1 import admin_key_pb2 as keys_pb
from tame_router.v1 import admin_service_pb2 as pb
from tame_router.v1 import admin_service_pb2_grpc, tenant_pb2
from tests.admin_fixture import Service, key_id
from tests.rich_error import rich
from tests.router_fixture import changed

pytestmark = pytest.mark.anyio

HOSPITAL = tenant_pb2.Tenant(
    name="hospital",
    title="市立醫院",
    read=["*", "medical"],
    publish=["medical"],
    joins=["single"],
    priority=3,
    limits=tenant_pb2.Limits(requests_per_minute=60, concurrent_streams=0),
    retain_texts_days=30,
)


async def test_a_tenants_life(service: Service) -> None:
    """It is made, read, changed field by field and taken away, and each step counts at once."""
    create = pb.CreateTenantRequest(tenant=HOSPITAL, request_id="request-1")
    assert (await service.call("CreateTenant", create)).tenant == HOSPITAL
    assert (await service.call("CreateTenant", create)).tenant == HOSPITAL
    found = await service.call("GetTenant", pb.GetTenantRequest(name="hospital"))
    assert found.tenant == HOSPITAL
    assert service.directory.snapshot().tenants["hospital"].limits.concurrent_streams == 0
    nothing = await service.call("UpdateTenant", pb.UpdateTenantRequest(name="hospital"))
    assert nothing.tenant == HOSPITAL
    update = pb.UpdateTenantRequest(
        name="hospital",
        title="",
        priority=0,
        joins=pb.JoinNames(),
        limits=tenant_pb2.Limits(),
        suspended=True,
    )
    tenant = (await service.call("UpdateTenant", update)).tenant
    assert tenant == tenant_pb2.Tenant(
        name="hospital",
        read=["*", "medical"],
        publish=["medical"],
        retain_texts_days=30,
        suspended=True,
    )
    grant = pb.GrantExpertRequest(tenant="hospital", read=["legal"], publish=["legal"])
    assert (await service.call("GrantExpert", grant)).tenant.read == ["*", "legal", "medical"]
    new = pb.GrantExpertRequest(tenant="hospital", publish=["packaging"], new_expert=True)
    made = await service.call("GrantExpert", new)
    assert made.tenant.publish == ["legal", "medical", "packaging"]
    gone = pb.RevokeExpertRequest(tenant="hospital", publish=["packaging"])
    assert (await service.call("RevokeExpert", gone)).tenant.publish == ["legal", "medical"]
    revoke = pb.RevokeExpertRequest(tenant="hospital", read=["*"], publish=["medical"])
    assert (await service.call("RevokeExpert", revoke)).tenant.publish == ["legal"]
    await service.call("DeleteTenant", pb.DeleteTenantRequest(name="hospital"))
    assert set(service.directory.snapshot().tenants) == {"operations"}


async def test_tenants_are_listed_in_pages(service: Service) -> None:
    """In order of their names; the last page has no token."""
    for name in ("aa", "bb", "zz"):
        await service.call(
            "CreateTenant", pb.CreateTenantRequest(tenant=tenant_pb2.Tenant(name=name))
        )
    first = await service.call("ListTenants", pb.ListTenantsRequest(page_size=3))
    assert [tenant.name for tenant in first.tenants] == ["aa", "bb", "operations"]
    request = pb.ListTenantsRequest(page_size=3, page_token=first.next_page_token)
    second = await service.call("ListTenants", request)
    assert ([t.name for t in second.tenants], second.next_page_token) == (["zz"], "")


async def test_keys_count_from_the_moment_they_are_made_to_that_of_their_end(
    service: Service,
) -> None:
    """A new key is taken by the next call, a revoked one refused by it."""
    await service.call("CreateTenant", pb.CreateTenantRequest(tenant=HOSPITAL))
    usage = pb.GetUsageRequest()
    old = await service.key_for("hospital", tenant_pb2.SCOPE_USAGE)
    await service.call("GetUsage", usage, old)
    rotate = keys_pb.RotateApiKeyRequest(key_id=key_id(old), overlap=Duration(seconds=60))
    new = await service.call("RotateApiKey", rotate)
    assert new.api_key.scopes == [tenant_pb2.SCOPE_USAGE]
    for key in (old, new.key):
        await service.call("GetUsage", usage, key)
    for key in (old, new.key):
        revoke = keys_pb.RevokeApiKeyRequest(key_id=key_id(key), tenant="hospital")
        assert (await service.call("RevokeApiKey", revoke)).api_key.HasField("revoke_time")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await service.call("GetUsage", usage, key)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    listed = await service.call("ListApiKeys", keys_pb.ListApiKeysRequest(tenant="hospital"))
    assert {key.key_id for key in listed.api_keys} == {api_key.parse(old), new.api_key.key_id}
    assert old not in str(listed)


async def test_a_key_says_when_it_ends(service: Service) -> None:
    """Title, scopes and expiry are kept; nothing named is `chat`, for ever."""
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)
    stamp = Timestamp()
    stamp.FromDatetime(end)
    request = keys_pb.CreateApiKeyRequest(tenant="operations", title="HIS", expire_time=stamp)
    kept = (await service.call("CreateApiKey", request)).api_key
    assert (kept.title, kept.scopes, kept.expire_time) == ("HIS", [tenant_pb2.SCOPE_CHAT], stamp)
    assert service.directory.snapshot().keys[kept.key_id].expire_time == end


async def test_names_are_bound_and_unbound(service: Service) -> None:
    """A binding is listed in the form that is looked up; unbinding may be repeated."""
    kind = tenant_pb2.BINDING_KIND_CERTIFICATE_SAN
    asked = tenant_pb2.Binding(kind=kind, name="dns:HIS.tw", tenant="operations")
    bound = (await service.call("BindIdentity", pb.BindIdentityRequest(binding=asked))).binding
    assert (bound.name, bound.scopes) == ("dns:his.tw", [tenant_pb2.SCOPE_CHAT])
    listing = pb.ListBindingsRequest(tenant="operations")
    assert list((await service.call("ListBindings", listing)).bindings) == [bound]
    for _ in range(2):
        unbind = pb.UnbindIdentityRequest(kind=kind, name="dns:his.tw")
        await service.call("UnbindIdentity", unbind)
    assert not (await service.call("ListBindings", listing)).bindings


UNKNOWN: Any = 99
"""A scope of a later version."""

FUTURE: Any = 99
"""A kind of binding of a later version."""

ADMIN_CALLS: dict[str, Any] = {
    "CreateTenant": pb.CreateTenantRequest(tenant=HOSPITAL),
    "GetTenant": pb.GetTenantRequest(name="operations"),
    "ListTenants": pb.ListTenantsRequest(),
    "UpdateTenant": pb.UpdateTenantRequest(name="operations", title="taken"),
    "DeleteTenant": pb.DeleteTenantRequest(name="operations"),
    "GrantExpert": pb.GrantExpertRequest(tenant="operations", read=["*"]),
    "RevokeExpert": pb.RevokeExpertRequest(tenant="operations", read=["*"]),
    "CreateApiKey": keys_pb.CreateApiKeyRequest(tenant="operations", scopes=[UNKNOWN]),
    "ListApiKeys": keys_pb.ListApiKeysRequest(tenant="operations"),
    "RotateApiKey": keys_pb.RotateApiKeyRequest(key_id="x"),
    "RevokeApiKey": keys_pb.RevokeApiKeyRequest(key_id="x"),
    "BindIdentity": pb.BindIdentityRequest(),
    "UnbindIdentity": pb.UnbindIdentityRequest(),
    "ListBindings": pb.ListBindingsRequest(tenant="operations"),
    "GetUsage": pb.GetUsageRequest(tenant="operations"),
    "ListAuditRecords": pb.ListAuditRecordsRequest(tenant="operations"),
}


async def test_whoever_is_no_administrator_learns_and_changes_nothing(service: Service) -> None:
    """Every method refuses every other scope, whatever is asked, and a call without a key."""
    await service.call(
        "CreateTenant", pb.CreateTenantRequest(tenant=tenant_pb2.Tenant(name="factory"))
    )
    others = [s for s in tenant_pb2.Scope.values() if s not in {0, tenant_pb2.SCOPE_ADMIN}]
    key = await service.key_for("factory", *others)
    before = service.directory.snapshot()
    methods = pb.DESCRIPTOR.services_by_name["AdminService"].methods_by_name
    assert set(ADMIN_CALLS) == set(methods)
    for method, request in ADMIN_CALLS.items():
        for sent, reason in ((key, "PERMISSION_DENIED"), ("", "UNAUTHENTICATED")):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await service.call(method, request, sent)
            assert (method, rich(caught.value).info.reason) == (method, reason)
    assert service.directory.snapshot() == before


async def test_usage_is_the_tenants_own(service: Service) -> None:
    """Its scope reads its own tenant's; an administrator reads any; days have defaults."""
    await service.call(
        "CreateTenant", pb.CreateTenantRequest(tenant=tenant_pb2.Tenant(name="factory"))
    )
    key = await service.key_for("factory", tenant_pb2.SCOPE_USAGE)
    days = {"begin_day": "2026-11-01", "end_day": "2026-11-24"}
    found = await service.call("GetUsage", pb.GetUsageRequest(**days), key)
    assert list(found.usage) == [
        tenant_pb2.TenantUsage(
            day="2026-11-24",
            expert="medical",
            requests=3,
            prompt_tokens=10,
            completion_tokens=20,
            failures=1,
        )
    ]
    await service.call("GetUsage", pb.GetUsageRequest(tenant="factory"))
    today = datetime.now(UTC).date()
    assert service.usage[0] == ("factory", date(2026, 11, 1), date(2026, 11, 24))
    assert service.usage[1][0] == "factory"
    assert service.usage[1][2] - service.usage[1][1] == timedelta(days=30)
    assert today - service.usage[1][2] <= timedelta(days=1)


@pytest.mark.parametrize(
    ("method", "request_", "field", "words"),
    [
        ("CreateTenant", pb.CreateTenantRequest(), "name", "expected 2 to 63"),
        ("ListTenants", pb.ListTenantsRequest(page_size=1001), "page_size", "0 to 1000"),
        (
            "CreateApiKey",
            keys_pb.CreateApiKeyRequest(
                tenant="operations", scopes=[tenant_pb2.SCOPE_CHAT, UNKNOWN]
            ),
            "scopes[1]",
            "99; expected one of SCOPE_CHAT",
        ),
        (
            "CreateApiKey",
            keys_pb.CreateApiKeyRequest(tenant="operations", expire_time=Timestamp(seconds=2**62)),
            "expire_time",
            "years 1 to 9999",
        ),
        (
            "RotateApiKey",
            keys_pb.RotateApiKeyRequest(key_id="x", overlap=Duration(seconds=2**62)),
            "overlap",
            "0 to 365 days",
        ),
        ("BindIdentity", pb.BindIdentityRequest(), "binding.kind", "BINDING_KIND_JWT"),
        ("UnbindIdentity", pb.UnbindIdentityRequest(kind=FUTURE), "kind", "99; expected one of"),
        ("GetUsage", pb.GetUsageRequest(end_day="today"), "end_day", "such as 2026-11-24"),
        ("GetUsage", pb.GetUsageRequest(end_day="0001-01-01"), "end_day", "such as"),
        (
            "GetUsage",
            pb.GetUsageRequest(begin_day="2026-11-02", end_day="2026-11-01"),
            "begin_day",
            "a first day before the last",
        ),
    ],
)
async def test_what_cannot_be_read_is_refused(
    service: Service, method: str, request_: Any, field: str, words: str
) -> None:
    """The error names the field and what is expected."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.call(method, request_)
    error = rich(caught.value)
    assert (error.code, error.fields) == ("INVALID_ARGUMENT", (field,))
    assert words in (caught.value.details() or "")


async def test_changes_are_logged_with_who_made_them(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """The tenant and the key's id, and never a key."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    await service.call("CreateTenant", pb.CreateTenantRequest(tenant=HOSPITAL))
    made = await service.key_for("hospital")
    by = f"operations/{api_key.parse(service.key)}"
    facts = {r.getMessage(): vars(r)["facts"] for r in caplog.records}
    assert facts["tenant.created"] == {"tenant": "hospital", "by": by}
    assert facts["key.created"]["by"] == by
    told = str(facts)
    assert made not in told
    assert service.key not in told


async def test_an_insecure_router_opens_the_store_when_it_is_asked(
    settings: Settings, tmp_path: Path
) -> None:
    """Its start needs none; then anybody on loopback is an administrator; none has used any."""
    own = changed(settings, store={"url": f"sqlite:///{tmp_path / FILE}"})
    async with app.running(own) as address, grpc.aio.insecure_channel(address) as channel:
        assert not (tmp_path / FILE).exists()
        stub = admin_service_pb2_grpc.AdminServiceStub(channel)
        await stub.CreateTenant(pb.CreateTenantRequest(tenant=HOSPITAL))
        assert (await stub.GetTenant(pb.GetTenantRequest(name="hospital"))).tenant == HOSPITAL
        assert not (await stub.GetUsage(pb.GetUsageRequest(tenant="hospital"))).usage
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GrantExpert(grant_unknown())
        assert rich(caught.value).info.reason == "INVALID_REQUEST"


def grant_unknown() -> pb.GrantExpertRequest:
    """Give a grant of an expert that there is not."""
    return pb.GrantExpertRequest(tenant="hospital", read=["astrology"])
