"""The smaller routes: models, health, metrics, the OpenAPI document, and what is not served."""

import asyncio
from collections.abc import Callable
from importlib import resources

import msgspec

from tame_router.admission.desk import Desk
from tame_router.api.http_call import HttpCall
from tame_router.api.http_refusal import HttpRefusalError
from tame_router.api.openai_model import describe_model, list_models
from tame_router.errors import UnsupportedError
from tame_router.tenancy.tenant import Scope

RenderMetrics = Callable[[str], tuple[bytes, str]]
"""Gives the metrics and their content type, for an `accept` header."""

_ADVICE = {
    "/v1/completions": "experts are asked in conversations: use POST /v1/chat/completions",
    "/v1/responses": "use POST /v1/chat/completions",
    "/v1/embeddings": "experts write text, and embed none: use a service made for it",
}
NOT_SERVED = tuple(_ADVICE)
"""Paths of OpenAI's that are refused with advice."""


class ModelsEndpoint:
    """Tells which models a caller may name.

    Args:
        desk: Knows which experts exist for a caller.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list(self, call: HttpCall) -> None:
        """List them."""
        caller = await call.caller()
        caller.principal.require(Scope.CHAT)
        models = list_models(self._desk.catalog(caller))
        await call.respond(200, msgspec.json.encode({"object": "list", "data": models}))

    async def get(self, call: HttpCall) -> None:
        """Tell one."""
        caller = await call.caller()
        caller.principal.require(Scope.CHAT)
        name = call.scope["path_params"]["model"]
        model = describe_model(name, self._desk.catalog(caller))
        await call.respond(200, msgspec.json.encode(model))


class HealthEndpoint:
    """Tells whether calls are taken, and nothing else.

    Attributes:
        draining: They are not any more.
        refusing: Those that come all the same are refused.
    """

    def __init__(self) -> None:
        self.draining = self.refusing = False

    async def __call__(self, call: HttpCall) -> None:
        """Tell it."""
        if self.draining:
            await call.respond(503, b'{"status":"draining"}', headers={"connection": "close"})
        else:
            await call.respond(200, b'{"status":"ready"}')


class MetricsEndpoint:
    """Gives the service's metrics.

    Args:
        render: Writes them; None: there are none.
        public: Nobody is asked who they are.
    """

    def __init__(self, render: RenderMetrics | None, *, public: bool) -> None:
        self._render = render
        self._public = public

    async def __call__(self, call: HttpCall) -> None:
        """Give them.

        Raises:
            HttpRefusalError: When there are none.
            PermissionDeniedError: When the caller lacks the scope.
        """
        if not self._public:
            (await call.caller()).principal.require(Scope.METRICS)
        if self._render is None:
            raise HttpRefusalError(
                "metrics are off; the operator sets telemetry.metrics",
                status=404,
                word="unknown_url",
            )
        # Thousands of lines take some milliseconds, which answers under way must not wait.
        accept = call.header(b"accept") or ""
        body, content_type = await asyncio.to_thread(self._render, accept)
        await call.respond(200, body, content_type=content_type.encode())


async def openapi(call: HttpCall) -> None:
    """Give the description of this surface."""
    await call.respond(200, document())


def document() -> bytes:
    """Read the OpenAPI document."""
    return resources.files("tame_router.api").joinpath("openapi.json").read_bytes()


async def not_served(call: HttpCall) -> None:
    """Refuse with advice what OpenAI serves and this service does not.

    Raises:
        HttpRefusalError: Always, after the caller has shown who it is.
    """
    await call.caller()
    raise HttpRefusalError(
        f"{call.path} is not served by this service: {_ADVICE[call.path]}",
        status=404,
        word=UnsupportedError.reason,
    )
