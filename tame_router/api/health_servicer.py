"""`grpc.health.v1.Health`: tell load balancers whether to send calls here.

The library's own servicer never lets a watcher go, so that one open `Watch` would make
every stop last the whole grace; this one says NOT_SERVING and ends it.

Source: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

import asyncio
from collections.abc import Collection

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tame_router.api.grpc_edge import Context

MAX_WATCHERS = 1024
"""Open `Watch` calls; anyone may open one, and each is held until the end."""

SERVICE_NAME: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # has no stubs
    """Serves `grpc.health.v1.Health`: SERVING until `drain`, then NOT_SERVING for good.

    Args:
        services: Full names of the services there are; the empty name is the server as a whole.
    """

    def __init__(self, services: Collection[str]) -> None:
        self._services = ("", *services)
        self._draining = asyncio.Event()
        self._watchers = 0

    def drain(self) -> None:
        """Say NOT_SERVING from now on, also to those who watch."""
        self._draining.set()

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Tell about one service; NOT_FOUND for one that is not here."""
        if request.service not in self._services:
            await context.abort(
                grpc.StatusCode.NOT_FOUND, "there is no such service here; List tells which are"
            )
        return self._status(request.service)

    async def List(
        self, request: health_pb2.HealthListRequest, context: Context
    ) -> health_pb2.HealthListResponse:
        """Tell about all services."""
        return health_pb2.HealthListResponse(
            statuses={service: self._status(service) for service in self._services}
        )

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:
        """Tell about one service now and when it changes, which is once."""
        if self._watchers >= MAX_WATCHERS:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "too many watch already; use Check"
            )
        self._watchers += 1
        try:
            await context.write(self._status(request.service))
            await self._draining.wait()
            await context.write(self._status(request.service))
        finally:
            self._watchers -= 1

    def _status(self, service: str) -> health_pb2.HealthCheckResponse:
        statuses = health_pb2.HealthCheckResponse
        if service not in self._services:
            return statuses(status=statuses.SERVICE_UNKNOWN)
        draining = self._draining.is_set()
        return statuses(status=statuses.NOT_SERVING if draining else statuses.SERVING)
