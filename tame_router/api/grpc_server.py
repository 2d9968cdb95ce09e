"""The gRPC port: our services, health and reflection, and an orderly end."""

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tame_router.api.expert_servicer import ExpertServicer
from tame_router.api.feedback_servicer import FeedbackServicer
from tame_router.api.grpc_edge import EdgeInterceptor
from tame_router.api.health_servicer import SERVICE_NAME as HEALTH_SERVICE
from tame_router.api.health_servicer import HealthServicer
from tame_router.api.router_servicer import RouterServicer
from tame_router.config import ServerSettings
from tame_router.errors import ConfigError
from tame_router.v1 import (
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
)


class GrpcServer:
    """Serves the services on one port.

    Args:
        settings: Address and limits.
        router: Decides and answers.
        experts: Tells who can answer.
        feedback: Takes what people say about the choice.
    """

    def __init__(
        self,
        settings: ServerSettings,
        router: RouterServicer,
        experts: ExpertServicer,
        feedback: FeedbackServicer,
    ) -> None:
        self._settings = settings
        self._health = HealthServicer(OWN_SERVICES)
        self._server = grpc.aio.server(interceptors=[EdgeInterceptor()], options=_options(settings))
        router_service_pb2_grpc.add_RouterServiceServicer_to_server(router, self._server)
        expert_service_pb2_grpc.add_ExpertServiceServicer_to_server(experts, self._server)
        feedback_service_pb2_grpc.add_FeedbackServiceServicer_to_server(feedback, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if settings.reflection:
            names = (*OWN_SERVICES, HEALTH_SERVICE, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._server)

    async def start(self) -> int:
        """Listen, and give the port.

        Raises:
            ConfigError: When the address cannot be listened on.
        """
        address = host_port(self._settings.host, self._settings.port)
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError:
            raise ConfigError(
                f"server.host and server.port: cannot listen on {address}: the port is in use or"
                " the address is not this machine's; stop the other program or set"
                " TAME_SERVER__PORT"
            ) from None
        await self._server.start()
        return port

    async def stop(self) -> None:
        """Say NOT_SERVING, take no new call, and let answers under way finish within the grace."""
        self._health.drain()
        await self._server.stop(self._settings.grace_s)


def host_port(host: str, port: int) -> str:
    """Write an address; an IPv6 address gets the brackets it needs before a port."""
    bare = ":" in host and not host.startswith("[")
    return f"[{host}]:{port}" if bare else f"{host}:{port}"


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    """Give the channel arguments.

    Source: https://grpc.github.io/grpc/core/group__grpc__arg__keys.html
    """
    keepalive_ms = int(settings.keepalive_s * 1000)
    return [
        # Without this a second server on the same port starts without a word.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_concurrent_streams", settings.max_streams_per_connection),
        ("grpc.keepalive_time_ms", keepalive_ms),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # Clients may ping, but no faster than every ten seconds.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]
