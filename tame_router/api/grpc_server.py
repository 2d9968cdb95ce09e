"""The gRPC port: our services, health and reflection, and an orderly end."""

import socket
from typing import cast

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from tame_router.admission.reception import Reception
from tame_router.api.admin_servicer import AdminServicer
from tame_router.api.expert_servicer import ExpertServicer
from tame_router.api.feedback_servicer import FeedbackServicer
from tame_router.api.grpc_edge import EdgeInterceptor
from tame_router.api.grpc_tls import add_port
from tame_router.api.health_servicer import SERVICE_NAME as HEALTH_SERVICE
from tame_router.api.health_servicer import HealthServicer
from tame_router.api.listening import bind, cannot_listen
from tame_router.api.registry_servicer import RegistryServicer
from tame_router.api.router_servicer import RouterServicer
from tame_router.config import ServerSettings
from tame_router.config_access import TlsSettings
from tame_router.errors import ConfigError
from tame_router.host_port import host_port
from tame_router.http2.limits import Limits
from tame_router.http2.server import Http2Server
from tame_router.identity.http_tls import grpc_context
from tame_router.telemetry.recorder import Recorder
from tame_router.v1 import (
    adapter_registry_service_pb2,
    adapter_registry_service_pb2_grpc,
    admin_service_pb2,
    admin_service_pb2_grpc,
    expert_service_pb2,
    expert_service_pb2_grpc,
    feedback_service_pb2,
    feedback_service_pb2_grpc,
    router_service_pb2,
    router_service_pb2_grpc,
)

OWN_SERVICES = (
    router_service_pb2.DESCRIPTOR.services_by_name["RouterService"].full_name,
    expert_service_pb2.DESCRIPTOR.services_by_name["ExpertService"].full_name,
    feedback_service_pb2.DESCRIPTOR.services_by_name["FeedbackService"].full_name,
    admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name,
    adapter_registry_service_pb2.DESCRIPTOR.services_by_name["AdapterRegistryService"].full_name,
)

LOOKAHEAD_BYTES = 4 * 2**20
"""Bytes of a stream that may be under way, unread: 40 MB/s where an answer takes 100 ms."""

METADATA_BYTES = 12 * 2**10
"""Bytes of metadata: tokens have up to 8 KiB, and others stand beside them."""

BEGUN_MESSAGES = 4
"""Messages of the greatest length that the calls of one connection may have sent in part."""


class GrpcServer:
    """Serves the services on one port.

    Args:
        settings: Address and limits.
        reception: Finds out who calls.
        recorder: Records calls.
        router: Decides and answers.
        experts: Tells who can answer.
        feedback: Takes what people say about the choice.
        admin: Changes tenants.
        tls: Its certificates; None: no TLS.
        registry: Takes adapters in, and publishes them; None: it says that it does not.

    Attributes:
        certificate_port: Port that requires client certificates, once it listens; None: none.
    """

    def __init__(
        self,
        settings: ServerSettings,
        reception: Reception,
        recorder: Recorder,
        router: RouterServicer,
        experts: ExpertServicer,
        feedback: FeedbackServicer,
        admin: AdminServicer,
        tls: TlsSettings | None = None,
        registry: RegistryServicer | None = None,
    ) -> None:
        self._settings = settings
        self._tls = tls or TlsSettings()
        self.certificate_port: int | None = None
        self._health = HealthServicer(OWN_SERVICES)
        self._transport = _transport(settings, EdgeInterceptor(reception, recorder))
        # What registers services knows of the library's own alone.
        self._server = cast("grpc.aio.Server", self._transport)
        router_service_pb2_grpc.add_RouterServiceServicer_to_server(router, self._server)
        expert_service_pb2_grpc.add_ExpertServiceServicer_to_server(experts, self._server)
        feedback_service_pb2_grpc.add_FeedbackServiceServicer_to_server(feedback, self._server)
        admin_service_pb2_grpc.add_AdminServiceServicer_to_server(admin, self._server)
        add_registry = (
            adapter_registry_service_pb2_grpc.add_AdapterRegistryServiceServicer_to_server
        )
        add_registry(registry or RegistryServicer(), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if settings.reflection:
            names = (*OWN_SERVICES, HEALTH_SERVICE, reflection.SERVICE_NAME)
            servicer = reflection.aio.ReflectionServicer(names)
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, self._server)

    async def start(self) -> int:
        """Listen, and give the port.

        Raises:
            ConfigError: When the address cannot be listened on, or TLS's files cannot be used.
        """
        required = self._tls.require_client_certificate
        port = self._listen("server.port", self._settings.port, certificates=required)
        further = self._tls.grpc_certificate_port
        if self._tls.certificate and not self._tls.terminated_elsewhere and further is not None:
            setting = "tls.grpc_certificate_port"
            self.certificate_port = self._listen(setting, further, certificates=True)
        await self._transport.start()
        return port

    def _listen(self, setting: str, port: int, *, certificates: bool) -> int:
        """Take a port, and give its number."""
        if isinstance(self._transport, Http2Server):
            context = grpc_context(self._tls, certificates=certificates)
            try:
                listener = _bound(setting, self._settings, port)
            except ConfigError:
                self._transport.close()
                raise
            self._transport.listen(listener, context)
            return int(listener.getsockname()[1])
        address = host_port(self._settings.host, port)
        try:
            return add_port(self._transport, address, self._tls, certificates=certificates)
        except RuntimeError:
            raise cannot_listen(setting, self._settings.host, port) from None

    async def stop(self) -> None:
        """Say NOT_SERVING, take no new call, and let answers under way finish within the grace."""
        self._health.drain()
        await self._transport.stop(self._settings.grace_s)


def _transport(
    settings: ServerSettings, interceptor: EdgeInterceptor
) -> "Http2Server | grpc.aio.Server":
    """Give what speaks HTTP/2."""
    if settings.transport == "grpcio":
        return grpc.aio.server(interceptors=[interceptor], options=_options(settings))
    limits = Limits(
        max_streams=settings.max_streams_per_connection,
        max_header_bytes=METADATA_BYTES,
        keepalive_s=settings.keepalive_s,
        message_timeout_s=settings.message_timeout_s,
        begun_bytes=BEGUN_MESSAGES * settings.max_message_bytes,
    )
    return Http2Server(limits, settings.max_message_bytes, [interceptor], settings.max_connections)


def _bound(setting: str, settings: ServerSettings, port: int) -> socket.socket:
    try:
        listener = bind(settings.host, port, shared=settings.reuse_port)
    except OSError as error:
        why = str(error.strerror or error)
        raise cannot_listen(setting, settings.host, port, why=why) from None
    listener.setblocking(False)
    return listener


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    """Give the channel arguments.

    Source: https://grpc.github.io/grpc/core/group__grpc__arg__keys.html
    """
    keepalive_ms = int(settings.keepalive_s * 1000)
    return [
        # Left on, a second server on the same port starts without a word.
        ("grpc.so_reuseport", int(settings.reuse_port)),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_metadata_size", METADATA_BYTES),
        # Uploads in frames of 16 KiB, the usual size, cost who sends them much more.
        ("grpc.http2.max_frame_size", 2**20),
        ("grpc.max_concurrent_streams", settings.max_streams_per_connection),
        ("grpc.keepalive_time_ms", keepalive_ms),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # Left to its own estimates gRPC takes in far more of an upload than is read, and that
        # stays: 400 MB of memory after three of 640 MiB, 220 MB so.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", LOOKAHEAD_BYTES),
        # Clients may ping, but no faster than every ten seconds.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]
