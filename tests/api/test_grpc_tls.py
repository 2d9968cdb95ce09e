"""TLS of the gRPC port: two ways with client certificates, and files that change."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tame_router.admission.reception import Reception
from tame_router.api import health_servicer
from tame_router.api.admin_servicer import AdminServicer
from tame_router.api.grpc_server import GrpcServer
from tame_router.config import ServerSettings
from tame_router.config_access import TlsSettings
from tame_router.errors import ConfigError
from tame_router.identity import watched_files
from tame_router.identity.authenticator import Insecure
from tame_router.telemetry.recorder import Recorder
from tame_router.tenancy.office import Office
from tame_router.v1 import expert_service_pb2_grpc, feedback_service_pb2_grpc
from tests.identity.world import Pki, pem
from tests.scripted_service import Unwritten

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def pki() -> Pki:
    """Give authorities and certificates."""
    return Pki()


@pytest.fixture
def files(pki: Pki, tmp_path: Path) -> dict[str, Any]:
    """Give the files of a server."""
    return pki.write(tmp_path)


class _Experts(expert_service_pb2_grpc.ExpertServiceServicer):
    """Knows none."""

    GetExpert = ListExperts = None  # type: ignore[assignment]


class _Feedback(feedback_service_pb2_grpc.FeedbackServiceServicer):
    """Takes none."""

    SubmitFeedback = None  # type: ignore[assignment]


def built(tls: TlsSettings, port: int = 0) -> GrpcServer:
    """Build a server whose services do nothing but be healthy."""
    router: Any = Unwritten()
    experts: Any = _Experts()
    feedback: Any = _Feedback()
    settings = ServerSettings(port=port, grace_s=1)
    admin: Any = AdminServicer(cast(Office, None))
    return GrpcServer(
        settings, Reception(Insecure()), Recorder(), router, experts, feedback, admin, tls
    )


@asynccontextmanager
async def listening(tls: TlsSettings) -> AsyncIterator[tuple[int, int | None]]:
    """Serve; give the port, and the one that requires certificates."""
    server = built(tls)
    port = await server.start()
    try:
        yield port, server.certificate_port
    finally:
        await server.stop()


async def health(port: int | None, trusted: trustme.CA, leaf: Any = None) -> bool:
    """Tell whether a call gets through."""
    own = (leaf.private_key_pem.bytes(), pem(leaf)) if leaf else (None, None)
    credentials = grpc.ssl_channel_credentials(trusted.cert_pem.bytes(), *own)
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials, options) as channel:
        try:
            await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=10
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
        return True


async def test_one_port_asks_for_none_and_one_requires_them(
    pki: Pki, files: dict[str, Any]
) -> None:
    """Keys go to the first port, certificates to the second; a stranger's goes nowhere."""
    async with listening(TlsSettings(**files, grpc_certificate_port=0)) as (port, second):
        assert second not in {None, port}
        assert await health(port, pki.ca)
        assert await health(second, pki.ca, pki.san)
        assert not await health(second, pki.ca)
        assert not await health(second, pki.ca, pki.stranger)
        assert not await health(second, pki.ca, pki.expired)


async def test_files_change_while_it_serves(
    pki: Pki, files: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next connection gets the new certificate, and is held to the new authorities."""
    monkeypatch.setattr(watched_files, "LOOK_S", 0.0)
    other = pki.stranger_ca
    renewed = other.issue_cert("localhost")
    async with listening(TlsSettings(**files, require_client_certificate=True)) as (port, _):
        assert await health(port, pki.ca, pki.san)
        files["certificate"].write_bytes(b"broken")
        assert await health(port, pki.ca, pki.san)
        files["certificate"].write_bytes(pem(renewed))
        files["key"].write_bytes(renewed.private_key_pem.bytes())
        files["client_ca"].write_bytes(other.cert_pem.bytes())
        assert await health(port, other, pki.stranger)
        assert not await health(port, pki.ca, pki.san)
        assert not await health(port, other, pki.san)


async def test_a_second_port_in_use_is_named(pki: Pki, files: dict[str, Any]) -> None:
    """The error names the setting of the port that could not be had."""
    async with listening(TlsSettings(**files)) as (port, _):
        server = built(TlsSettings(**files, grpc_certificate_port=port))
        with pytest.raises(ConfigError, match=r"TAME_TLS__GRPC_CERTIFICATE_PORT"):
            await server.start()
        await server.stop()


async def test_watchers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With so many open the next is refused; one that leaves makes room; Check goes on."""
    monkeypatch.setattr(health_servicer, "MAX_WATCHERS", 2)
    request = health_pb2.HealthCheckRequest()
    async with (
        listening(TlsSettings()) as (port, _),
        grpc.aio.insecure_channel(f"localhost:{port}") as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(request) for _ in range(2)]
        for watch in watches:
            await anext(aiter(watch))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(aiter(stub.Watch(request)))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
