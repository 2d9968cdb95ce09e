"""An HTTP port over a desk that does what a test says: for events no backend here would send."""

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

from tame_router.admission.call import Call
from tame_router.admission.caller import Caller
from tame_router.admission.desk import Desk
from tame_router.admission.reception import Reception
from tame_router.answering.event import DecisionMade, Event, ExpertFinish, ExpertStart, Final
from tame_router.answering.join import Emit
from tame_router.api.http_server import HttpServer
from tame_router.api.http_surface import Metrics, build_surface
from tame_router.catalog.expert import Catalog
from tame_router.chat import FinishReason, Usage
from tame_router.config import LimitSettings
from tame_router.config_access import HttpSettings
from tame_router.identity.authenticator import Authenticator, Insecure
from tame_router.routing.decision import Decision, ExpertProbability, Join, Reason, Stage

CHOSEN = ExpertProbability(expert="legal", probability=0.75, relevance=0.5)
DECISION = Decision(
    experts=(CHOSEN,),
    probabilities=(CHOSEN,),
    stage=Stage.FAST,
    reason=Reason.MOST_PROBABLE,
    join=Join.SINGLE,
    language="en",
    elapsed_us=10,
    classifier_digest="c" * 64,
    conformal_set=("legal",),
)
REVISION = "legal--0123456789abcdef"
BEGIN: tuple[Event, ...] = (
    DecisionMade(answer_id="answer-1", decision=DECISION),
    ExpertStart(expert="legal", revision=REVISION, notice="careful"),
)


def ending(reason: FinishReason, *others: FinishReason, receipt: str = "") -> tuple[Event, ...]:
    """Give the last events of an answer."""
    usage = Usage(prompt_tokens=3, completion_tokens=4)
    finish = ExpertFinish(
        expert="legal",
        revision=REVISION,
        finish_reason=reason,
        usage=usage,
        time_to_first_token_s=0.1,
        elapsed_s=0.2,
        notice="careful",
        other_reasons=others,
    )
    final = Final(finish_reason=reason, usage=usage, elapsed_s=0.25, receipt=receipt)
    return (finish, final)


class ScriptedDesk:
    """Sends the events it was given, then raises the error it was given.

    Attributes:
        events: What each answer consists of.
        error: Raised after them; None: nothing is.
        calls: Everything that was asked.
        experts: What exists for every caller.
    """

    def __init__(self, *events: Event, error: BaseException | None = None) -> None:
        self.events: Sequence[Event] = events
        self.error = error
        self.calls: list[Call] = []
        self.experts = Catalog({})

    def catalog(self, caller: Caller) -> Catalog:
        """Give the experts."""
        return self.experts

    async def answer(self, call: Call, emit: Emit) -> None:
        """Follow the script."""
        self.calls.append(call)
        for event in self.events:
            await emit(event)
        if self.error:
            raise self.error


@asynccontextmanager
async def serving_http(
    desk: ScriptedDesk,
    settings: HttpSettings | None = None,
    *,
    render: Callable[[str], tuple[bytes, str]] | None = None,
    public: bool = False,
    authenticator: Authenticator | None = None,
    ssl_context: ssl.SSLContext | None = None,
    reuse_port: bool = False,
    grace_s: float = 1,
) -> AsyncIterator[str]:
    """Serve on a free port, and give the address.

    Args:
        desk: Follows a script.
        settings: Limits of the port.
        render: Writes the metrics.
        public: Give them to anyone.
        authenticator: Finds out who calls; None: everyone is the same.
        ssl_context: Does TLS.
        reuse_port: Others may listen on the port beside it.
        grace_s: Time that answers have after the end.
    """
    given = (settings or HttpSettings()).model_copy(update={"port": 0})
    surface = build_surface(
        cast(Desk, desk),
        Reception(authenticator or Insecure()),
        given,
        LimitSettings(),
        Metrics(render=render, public=public),
    )
    server = HttpServer(
        given,
        surface.app,
        surface.health,
        host="127.0.0.1",
        reuse_port=reuse_port,
        ssl_context=ssl_context,
    )
    port = await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(grace_s)
