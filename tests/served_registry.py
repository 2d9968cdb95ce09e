"""The adapters' service over a scripted registry, on a port of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from tame_router.admission.reception import Reception
from tame_router.api.grpc_edge import EdgeInterceptor
from tame_router.api.registry_servicer import IDLE_S, RegistryServicer
from tame_router.identity.authenticator import Authenticator, Insecure
from tame_router.v1 import adapter_registry_service_pb2_grpc
from tests.scripted_registry import ScriptedRegistry


@asynccontextmanager
async def serving_registry(
    registry: ScriptedRegistry,
    *,
    authenticator: Authenticator | None = None,
    port: int = 0,
    idle_s: float = IDLE_S,
) -> AsyncIterator[str]:
    """Serve it on a free port behind the edge, and give the address.

    Args:
        registry: What is behind the service.
        authenticator: Finds out who calls; None: everyone is the same.
        port: The port; 0: a free one.
        idle_s: Longest wait for the next message of an upload, in seconds.
    """
    server = grpc.aio.server(
        interceptors=[EdgeInterceptor(Reception(authenticator or Insecure()))],
        options=[("grpc.so_reuseport", 0), ("grpc.http2.max_frame_size", 2**20)],
    )
    adapter_registry_service_pb2_grpc.add_AdapterRegistryServiceServicer_to_server(
        RegistryServicer(registry, idle_s=idle_s), server
    )
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        await server.stop(None)
