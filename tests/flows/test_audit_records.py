"""Audit records over gRPC: a tenant's own, in pages, as they were chained."""

import json
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tame_router import app
from tame_router.audit.archive import Archive
from tame_router.audit.lookup import Wanted
from tame_router.config import Settings
from tame_router.store import Database
from tame_router.v1 import admin_service_pb2 as pb
from tame_router.v1 import admin_service_pb2_grpc, tenant_pb2
from tests.admin_fixture import Service
from tests.audit.recorded import NOON, answered, fill, verified
from tests.rich_error import rich
from tests.router_fixture import changed

pytestmark = pytest.mark.anyio


def _stamp(seconds: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(NOON + timedelta(seconds=seconds))
    return stamp


def _behind(token: str) -> pb.ListAuditRecordsRequest:
    return pb.ListAuditRecordsRequest(page_token=token)


def _ids(page: Any) -> list[str]:
    return [record.answer_id for record in page.records]


async def _tenant(service: Service, name: str) -> str:
    """Make a tenant, and a key that reads its records."""
    tenant = tenant_pb2.Tenant(name=name)
    await service.call("CreateTenant", pb.CreateTenantRequest(tenant=tenant))
    return await service.key_for(name, tenant_pb2.SCOPE_USAGE)


async def test_records_are_the_tenants_own(service: Service) -> None:
    """Its scope reads its own; an administrator reads any; nobody else's are told of."""
    hospital, factory = [await _tenant(service, name) for name in ("hospital", "factory")]
    fill(service.database, 3)
    fill(service.database, 1, "c2", tenant="factory")
    own = await service.call("ListAuditRecords", pb.ListAuditRecordsRequest(), hospital)
    assert _ids(own) == ["answer-000001", "answer-000002", "answer-000003"]
    assert {record.tenant for record in own.records} == {"hospital"}
    named = pb.ListAuditRecordsRequest(tenant="hospital")
    assert await service.call("ListAuditRecords", named, hospital) == own
    assert await service.call("ListAuditRecords", named) == own
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.call("ListAuditRecords", named, factory)
    assert rich(caught.value).info.reason == "PERMISSION_DENIED"
    other = pb.ListAuditRecordsRequest(answer_id="answer-000003")
    assert not (await service.call("ListAuditRecords", other, factory)).records


async def test_a_record_says_what_was_chained(service: Service) -> None:
    """In fields, and as the line that the chain is made of."""
    key = await _tenant(service, "hospital")
    fill(service.database, 1, user="王\ud800")
    page = await service.call("ListAuditRecords", pb.ListAuditRecordsRequest(), key)
    [record] = page.records
    assert record.begin_time.ToDatetime(UTC) == answered(1).begin_time
    assert record.elapsed.ToTimedelta() == timedelta(seconds=0.25)
    assert (record.experts[0].expert, record.experts[0].probability) == ("baking", 0.75)
    assert record.steps[0].completion_tokens == 5
    assert (record.subject, record.outcome, record.user) == ("key-1", "ok", "王?")
    assert '"previous":' in record.line


async def test_records_are_listed_in_pages_and_by_time(service: Service) -> None:
    """Each once, the oldest first; the last page has no token."""
    key = await _tenant(service, "hospital")
    fill(service.database, 5)
    found: list[str] = []
    request = pb.ListAuditRecordsRequest(page_size=2)
    for size in (2, 2, 1):
        page = await service.call("ListAuditRecords", request, key)
        assert len(page.records) == size
        found += _ids(page)
        request.page_token = page.next_page_token
    assert found == [f"answer-{number:06}" for number in range(1, 6)]
    assert not request.page_token
    span = pb.ListAuditRecordsRequest(begin_time=_stamp(2), end_time=_stamp(4))
    page = await service.call("ListAuditRecords", span, key)
    assert _ids(page) == ["answer-000002", "answer-000003"]


@pytest.mark.parametrize("method", ["GetUsage", "ListAuditRecords"])
async def test_a_tenant_that_is_none_is_told_to_administrators(
    service: Service, method: str
) -> None:
    """Whoever may ask for all learns that there is none of that name."""
    request = {
        "GetUsage": pb.GetUsageRequest(tenant="nobody"),
        "ListAuditRecords": pb.ListAuditRecordsRequest(tenant="nobody"),
    }
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.call(method, request[method])
    assert rich(caught.value).info.reason == "TENANT_NOT_FOUND"
    key = await _tenant(service, "hospital")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.call(method, request[method], key)
    assert rich(caught.value).info.reason == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListAuditRecordsRequest(page_size=501), "page_size"),
        (pb.ListAuditRecordsRequest(page_size=-1), "page_size"),
        (_behind("x"), "page_token"),
        (_behind(f"{2**64}.1.c"), "page_token"),
        (_behind("1.1.\0"), "page_token"),
        (pb.ListAuditRecordsRequest(answer_id="\0"), "answer_id"),
        (pb.ListAuditRecordsRequest(tenant="a\0"), "tenant"),
        (pb.ListAuditRecordsRequest(begin_time=Timestamp(seconds=2**62)), "begin_time"),
    ],
)
async def test_what_cannot_be_read_is_refused(service: Service, request_: Any, field: str) -> None:
    """The error names the field."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.call("ListAuditRecords", request_)
    error = rich(caught.value)
    assert (error.code, error.fields) == ("INVALID_ARGUMENT", (field,))


async def test_a_running_router_gives_its_records(settings: Settings, tmp_path: Path) -> None:
    """From the store that it writes them to, where it also chains what is done to tenants."""
    own = changed(settings, store={"url": f"sqlite:///{tmp_path / 'audit.db'}"})
    async with app.running(own) as address, grpc.aio.insecure_channel(address) as channel:
        stub = admin_service_pb2_grpc.AdminServiceStub(channel)
        assert not (await stub.ListAuditRecords(pb.ListAuditRecordsRequest())).records
        assert not (await stub.GetUsage(pb.GetUsageRequest())).usage
        tenant = tenant_pb2.Tenant(name="hospital")
        await stub.CreateTenant(pb.CreateTenantRequest(tenant=tenant))
    database = Database(own.store, tmp_path)
    try:
        [made] = [json.loads(k.line) for k in Archive(database).find(Wanted(changes=True))]
        assert verified(database) == []
    finally:
        database.close()
    assert (made["by"], made["tenant"], made["what"]) == ("local/anyone", "hospital", "tenant")
