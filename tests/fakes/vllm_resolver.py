"""How the fake vLLM meets a name that is not loaded: as vLLM does with our resolver plugin."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio.to_thread
from starlette.responses import JSONResponse, Response

from tame_router.registry.manifest import REVISION_NAME
from tests.fakes import vllm_wire as wire

if TYPE_CHECKING:
    from tests.fakes.vllm import FakeVllm

_HOLD_S = 60


@dataclass(frozen=True, slots=True)
class Hold:
    """Stops a load.

    Attributes:
        reached: Set once a load has come here.
        go_on: Lets it go on.
    """

    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


class Resolver:
    """The adapters that are loaded by being asked for.

    Attributes:
        active: Names that match a revision's are looked for in the store; else nothing is.
        missing: Names that the store does not have, or that its bytes do not bear out.
        broken: Names that are found and do not load.
        held: Names whose load stops at a hold.
        found: Looks for a name that is not missing, in a thread, and tells whether it is there.
        answers_as: Under which name some of them answer, in place of their own.
        loaded: Names that were loaded, in order; a process that dies forgets them.
        tried: Names that were looked for, in order.
    """

    def __init__(self) -> None:
        self.active = False
        self.missing: set[str] = set()
        self.broken: set[str] = set()
        self.held: dict[str, Hold] = {}
        self.found: Callable[[str], bool] = lambda _: True
        self.answers_as: dict[str, str] = {}
        self.loaded: list[str] = []
        self.tried: list[str] = []

    async def resolve(self, fake: "FakeVllm", name: str) -> Response | None:
        """Load a name where that can be done; give the refusal where it is found and cannot."""
        known = name == fake.base_model or name in fake.adapters or name in self.loaded
        if known or not self.active or not REVISION_NAME.fullmatch(name):
            return None
        self.tried.append(name)
        if name in self.held:
            self.held[name].reached.set()
            await anyio.to_thread.run_sync(self.held[name].go_on.wait, _HOLD_S)
        if name in self.missing or not await anyio.to_thread.run_sync(self.found, name):
            return None
        if name in self.broken:
            text = f"LoRA adapter '{name}' was found but could not be loaded."
            return JSONResponse(wire.error_document(400, text), status_code=400)
        if name not in self.loaded:
            self.loaded.append(name)
        return None
