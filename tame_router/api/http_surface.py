"""The HTTP surface: which path leads where."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from tame_router.admission.desk import Desk
from tame_router.admission.reception import Reception
from tame_router.api.http_call import HttpCall
from tame_router.api.http_chat import ChatEndpoint
from tame_router.api.http_edge import CALL, HttpEdge
from tame_router.api.http_endpoints import (
    NOT_SERVED,
    HealthEndpoint,
    MetricsEndpoint,
    ModelsEndpoint,
    RenderMetrics,
    not_served,
    openapi,
)
from tame_router.config import LimitSettings
from tame_router.config_access import HttpSettings
from tame_router.errors import BackendUnavailableError

Endpoint = Callable[[HttpCall], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The metrics route: `render` writes them (None: there are none), `public` asks nobody."""

    render: RenderMetrics | None = None
    public: bool = False


class _Bound:
    """Makes an ASGI application of an endpoint, which Starlette then leaves as it is."""

    def __init__(self, endpoint: Endpoint, health: HealthEndpoint) -> None:
        self._endpoint = endpoint
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._health.refusing and self._endpoint is not self._health:
            raise BackendUnavailableError(
                "the service is stopping; ask another, or again in a moment", retry_after_s=1
            )
        await self._endpoint(scope[CALL])


class _Routes:
    """Finds the endpoint of a path: in a table where it stands there as it is, as most do.

    Args:
        routes: All there are.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._router = Router(routes, redirect_slashes=False)
        self._plain = {
            (method, route.path): route.app
            for route in routes
            if not route.param_convertors
            for method in route.methods or ()
        }

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        app = self._plain.get((scope["method"], scope["path"]), self._router)
        return app(scope, receive, send)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """The surface: what serves it, the paths it has, and what can be told to drain."""

    app: ASGIApp
    paths: tuple[str, ...]
    health: HealthEndpoint


def build_surface(
    desk: Desk,
    reception: Reception,
    settings: HttpSettings,
    limits: LimitSettings,
    metrics: Metrics,
) -> Surface:
    """Put the surface together."""
    health = HealthEndpoint()
    models = ModelsEndpoint(desk)
    render = MetricsEndpoint(metrics.render, public=metrics.public)

    def route(path: str, endpoint: Endpoint, method: str) -> Route:
        return Route(path, _Bound(endpoint, health), methods=[method])

    routes = [
        route("/v1/chat/completions", ChatEndpoint(desk, limits), "POST"),
        route("/v1/models", models.list, "GET"),
        route("/v1/models/{model}", models.get, "GET"),
        *(route(path, not_served, "POST") for path in NOT_SERVED),
        route("/health", health, "GET"),
        route("/metrics", render, "GET"),
        route("/openapi.json", openapi, "GET"),
    ]
    return Surface(
        app=HttpEdge(_Routes(routes), reception, settings),
        paths=tuple(route.path for route in routes),
        health=health,
    )
