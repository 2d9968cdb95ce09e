"""Fuzzed messages and metadata over real gRPC to every method, and what may come back."""

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from bench.fuzzing.drive import Inputs, Met, mostly
from bench.fuzzing.proto_wire import messages
from bench.fuzzing.proto_wire import varied as varied_message
from bench.fuzzing.service import QUESTION
from tame_router.api.grpc_server import OWN_SERVICES
from tame_router.api.grpc_status import DETAILS_KEY
from tame_router.v1 import adapter_registry_service_pb2 as adapters
from tame_router.v1 import (
    adapter_revision_pb2,
    chat_pb2,
    decision_pb2,
    expert_service_pb2,
    feedback_service_pb2,
    router_service_pb2,
    tenant_pb2,
)
from tame_router.v1 import admin_key_pb2 as keys
from tame_router.v1 import admin_service_pb2 as admin

GOOD_KEY = "{key}"
"""Stands for the good key in metadata."""
TIMEOUT_S = 60.0
ENDLESS = frozenset({"WatchAdapterRevision"})
WATCHED_S = 0.05
"""The deadline of methods that end when the caller does."""
LARGEST_BYTES = 16 * 2**20 + 1
FAULTS = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})
UNTOLD = frozenset(
    {
        *(grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
"""What gRPC itself may answer, without our details: the caller's own end, a size over a limit."""

_TENANT = tenant_pb2.Tenant(name="fuzz-a", title="t", read=["legal"], joins=["single"])
_TENANT.limits.requests_per_minute = 5
_ASKED = [chat_pb2.Message(role=chat_pb2.ROLE_USER, content=QUESTION)]
_SAMPLING = chat_pb2.Sampling(max_tokens=4)
_TOOL = chat_pb2.Tool(name="look_up", parameters='{"type":"object"}')
_FORM = chat_pb2.ResponseFormat(
    format=chat_pb2.FORMAT_JSON_SCHEMA, name="x", schema='{"type":"object"}'
)
_BINDING = tenant_pb2.Binding(
    kind=tenant_pb2.BINDING_KIND_CERTIFICATE_SAN, name="dns:fuzz.example", tenant="fuzz-a"
)
_REVISION = "legal--0123456789abcdef"
_FILE = adapter_revision_pb2.AdapterFile(path="README.md", size_bytes=1, sha256=bytes(32))
_ANNOUNCEMENT = adapters.UploadAnnouncement(expert="legal", files=[_FILE])
_CHUNK = adapters.UploadChunk(data=b"x", running_crc32=1)
VALID: tuple[Message, ...] = (
    router_service_pb2.RouteRequest(messages=_ASKED),
    router_service_pb2.RouteRequest(messages=_ASKED, explain=True),
    router_service_pb2.ChatRequest(messages=_ASKED, sampling=_SAMPLING),
    router_service_pb2.ChatRequest(
        messages=_ASKED, tools=[_TOOL], choices=2, documents=[chat_pb2.Document(text="t")]
    ),
    router_service_pb2.StreamChatRequest(messages=_ASKED, sampling=_SAMPLING),
    router_service_pb2.StreamChatRequest(
        messages=_ASKED,
        response_format=_FORM,
        top_logprobs=1,
        constraints=decision_pb2.Constraints(allow=["legal"]),
    ),
    expert_service_pb2.ListExpertsRequest(page_size=2),
    expert_service_pb2.GetExpertRequest(name="experts/legal"),
    feedback_service_pb2.SubmitFeedbackRequest(
        answer_id="0" * 32, expert="legal", question=QUESTION
    ),
    admin.CreateTenantRequest(tenant=_TENANT),
    admin.CreateTenantRequest(tenant=tenant_pb2.Tenant(name="fuzz-b"), request_id="request-01"),
    admin.GetTenantRequest(name="fuzz-a"),
    admin.ListTenantsRequest(page_size=1),
    admin.UpdateTenantRequest(name="fuzz-a", title="new", priority=1),
    admin.DeleteTenantRequest(name="fuzz-a"),
    admin.GrantExpertRequest(tenant="fuzz-a", read=["legal"]),
    admin.RevokeExpertRequest(tenant="fuzz-a", read=["legal"]),
    keys.CreateApiKeyRequest(tenant="fuzz-a", title="k", request_id="request-02"),
    keys.ListApiKeysRequest(tenant="fuzz-a"),
    keys.RotateApiKeyRequest(tenant="fuzz-a", key_id="0" * 12),
    keys.RevokeApiKeyRequest(tenant="fuzz-a", key_id="0" * 12),
    admin.BindIdentityRequest(binding=_BINDING),
    admin.UnbindIdentityRequest(kind=_BINDING.kind, name=_BINDING.name),
    admin.ListBindingsRequest(tenant="fuzz-a"),
    admin.GetUsageRequest(begin_day="2026-11-01", end_day="2026-11-24"),
    admin.ListAuditRecordsRequest(answer_id="fuzz-answer", page_size=10),
    adapters.UploadAdapterRevisionRequest(announcement=_ANNOUNCEMENT),
    adapters.UploadAdapterRevisionRequest(chunk=_CHUNK),
    adapters.ValidateAdapterRevisionRequest(announcement=_ANNOUNCEMENT),
    adapters.ValidateAdapterRevisionRequest(chunk=_CHUNK),
    adapters.GetAdapterRevisionRequest(name=_REVISION),
    adapters.ListAdapterRevisionsRequest(
        expert="legal", states=[adapter_revision_pb2.AdapterRevision.STATE_APPROVED], page_size=2
    ),
    adapters.EvaluateAdapterRevisionRequest(name=_REVISION, request_id="request-03"),
    adapters.PublishAdapterRevisionRequest(name=_REVISION, canary_share=0.1),
    adapters.RollbackExpertRequest(expert="legal", because="fuzz"),
    adapters.RetireAdapterRevisionRequest(name=_REVISION),
    adapters.ListLabelHistoryRequest(expert="legal", page_size=2),
    adapters.WatchAdapterRevisionRequest(name=_REVISION, after_sequence=0),
    adapters.CollectAdapterGarbageRequest(dry_run=True),
)
"""Valid messages; a message's fields are grown behind them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call.

    Attributes:
        method: Its full name, with the slashes.
        data: The message's bytes.
        metadata: As it is sent.
        timeout_s: The caller's deadline.
        stays: The caller waits for the answer; otherwise it cancels at once.
    """

    method: str
    data: bytes
    metadata: tuple[tuple[str, str | bytes], ...]
    timeout_s: float
    stays: bool


def methods() -> tuple[MethodDescriptor, ...]:
    """Give every method of our services."""
    files = (router_service_pb2, expert_service_pb2, feedback_service_pb2, admin, adapters)
    services = [one for file in files for one in file.DESCRIPTOR.services_by_name.values()]
    if {one.full_name for one in services} != set(OWN_SERVICES):
        raise RuntimeError("the services that are fuzzed are not those that are served")
    return tuple(method for service in services for method in service.methods)


_ascii = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
_keys = mostly(
    f"Bearer {GOOD_KEY}",
    st.sampled_from(["", "Bearer ", f"Basic {GOOD_KEY}", f"Bearer {GOOD_KEY}x"]) | _ascii,
    times=12,
)
_names = st.sampled_from(
    [
        *("x-request-id", "traceparent", "tracestate", "x-api-key", "baggage"),
        *("authorization", "user", "x-" + "long" * 20),
    ]
)
_pair = st.one_of(
    st.tuples(_names, _ascii | st.integers(1, 9_000).map(lambda n: "x" * n)),
    st.tuples(st.sampled_from(["x-a-bin", "grpc-trace-bin", DETAILS_KEY]), st.binary(max_size=60)),
)
_more = mostly((), st.lists(_pair, max_size=3).map(tuple), times=8)


def calls() -> st.SearchStrategy[Call]:
    """Draw a call of any method; most have the good key."""
    return st.one_of([_calls(method) for method in methods()])


def _calls(method: MethodDescriptor) -> st.SearchStrategy[Call]:
    message = method.input_type
    valid = tuple(m.SerializeToString() for m in VALID if m.DESCRIPTOR is message)
    huge = st.integers(2**20, LARGEST_BYTES).map(bytes)
    drawn = messages(message, valid)
    data = st.integers(0, 500).flatmap(lambda n: huge if n == 500 else drawn)
    return st.builds(
        Call,
        method=st.just(f"/{method.containing_service.full_name}/{method.name}"),
        data=data,
        metadata=st.builds(lambda key, more: (("authorization", key), *more), _keys, _more),
        timeout_s=mostly(
            WATCHED_S if method.name in ENDLESS else TIMEOUT_S, st.just(0.002), times=40
        ),
        stays=mostly(True, st.just(False), times=40),
    )


class GrpcSender:
    """Sends calls over one channel.

    Args:
        address: Of the gRPC port.
        key: The good key.
    """

    def __init__(self, address: str, key: str) -> None:
        self._key = key
        self._channel = grpc.insecure_channel(address)

    def __call__(self, call: Call) -> Met:
        """Send one, and say what it met."""
        metadata = tuple(
            (k, v.replace(GOOD_KEY, self._key) if isinstance(v, str) else v)
            for k, v in call.metadata
        )
        name = call.method.rpartition("/")[2]
        # An answer of one message may be read as a stream of one; the wire is the same.
        make: Any = self._channel.unary_stream(call.method)
        try:
            under_way = make(call.data, metadata=metadata, timeout=call.timeout_s)
            if not call.stays:
                under_way.cancel()
                return Met(status=f"{name} left")
            for _ in under_way:
                pass
        except grpc.RpcError as error:
            return _met(name, error)
        return Met(status=f"{name} OK")

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def _met(name: str, error: Any) -> Met:
    code = error.code()
    trailing = [key for key, _ in error.trailing_metadata() or ()]
    status = f"{name} {code.name}"
    if code in FAULTS:
        return Met(status=status, fault=f"{status}: {error.details()}"[:120])
    if code not in UNTOLD and DETAILS_KEY not in trailing:
        return Met(status=status, fault=f"{status}, not by us: {error.details()}"[:120])
    return Met(status=status)


def tell(call: Call) -> str:
    """Write how to send a call again, in Python; `KEY` is the good key."""
    data = f"base64.b64decode({base64.b64encode(call.data).decode()!r})"
    metadata = repr(call.metadata).replace(f"'Bearer {GOOD_KEY}'", "'Bearer ' + KEY")
    return (
        f"list(grpc.insecure_channel(ADDRESS).unary_stream({call.method!r})"
        f"({data}, metadata={metadata}, timeout={call.timeout_s:g}))"
    )


@contextlib.contextmanager
def proto_inputs(address: str, key: str) -> Iterator[Inputs[Call]]:
    """Give calls, and what sends them as long as the context is open."""
    sender = GrpcSender(address, key)
    with contextlib.closing(sender):
        yield Inputs(drawn=calls(), varied=_varied, send=sender, tell=tell)


def _varied(call: Call, random: Random) -> Call:
    return replace(call, data=varied_message(call.data, random))
