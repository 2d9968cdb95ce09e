"""The settings of backends: how the servers that hold the experts are reached.

And who answers where one is gone.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    field_validator,
    model_validator,
)

from tame_router.chat import FallbackKind, FallbackStep
from tame_router.config_access import Seconds, Section
from tame_router.host_port import address_fault

_DNS_URL: Final = re.compile(r"http://[^\s/?#@:\[\]]+(:\d{1,5})?(/\S*)?")


def _usable(url: str) -> str:
    """Refuse an address that nothing can be asked at."""
    if url and (fault := address_fault(url)):
        raise ValueError(f"{fault}; expected an address like http://127.0.0.1:8100/v1")
    return url


_Address = Annotated[str, Field(pattern=r"^https?://\S+$"), AfterValidator(_usable)]


class ReplicaSettings(Section):
    """What holds where a backend has several servers: `base_urls`, or what names them."""

    health_interval_s: Seconds = Field(2, description="Time between checks of /health.")
    metrics_interval_s: float = Field(
        5, ge=0, le=3_600, description="Time between two looks at /metrics; 0: it is not looked at."
    )
    refresh_interval_s: Seconds = Field(
        10, description="Time between two looks at base_url_dns, or at base_urls_file."
    )
    failures: int = Field(3, ge=1, description="Failures in a row that eject a replica.")
    cool_down_s: Seconds = Field(
        1, description="Time until an ejected one is probed; doubled with each probe that fails."
    )
    max_cool_down_s: Seconds = Field(30, description="Longest such time.")
    probe_timeout_s: Seconds = Field(10, description="Time that a probe's one token may take.")
    retry_share: float = Field(
        0.2, ge=0, le=1, description="Second tries per answer, before its first token."
    )
    retry_burst: int = Field(64, ge=0, description="Second tries in one burst.")
    most_failovers: int = Field(8, ge=0, description="Replicas that one answer may leave.")
    resume_wait_s: Seconds = Field(
        10, description="Time that an answer which has begun waits for a replica to go on."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        """Refuse a cool-down that is longer than the longest."""
        if self.cool_down_s > self.max_cool_down_s:
            raise ValueError(
                f"cool_down_s is {self.cool_down_s:g}; expected at most max_cool_down_s,"
                f" {self.max_cool_down_s:g}"
            )
        return self


class HedgeSettings(Section):
    """When an answer whose first word is late is asked of a second replica; see replicas.md."""

    enabled: bool = Field(False, description="Ask a second replica where a first word is late.")
    after_s: Seconds = Field(
        0.25, description="Wait for the first word before a second is asked, at least."
    )
    quantile: float = Field(
        0.95,
        ge=0,
        lt=1,
        description="Share of recent first words that came sooner than one that is late; 0:"
        " after_s alone decides.",
    )
    max_prompt_chars: int = Field(2_000, ge=0, description="Longest prompt that is asked twice.")
    share: float = Field(0.05, ge=0, le=1, description="Answers asked twice, of those that may be.")
    burst: int = Field(8, ge=0, description="Answers asked twice in one burst.")


class LimitSettings(Section):
    """How many answers a backend writes at once; see overload.md."""

    start: int = Field(32, ge=1, description="Answers at once before anything is known.")
    min: int = Field(8, ge=1, description="Fewest; the same as max: it does not move.")
    max: int = Field(1024, ge=1, description="Most.")
    wait_s: float = Field(
        0.5, ge=0, description="Waiting in the server that is no reason to lower it."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        """Refuse a limit that begins outside its ends."""
        if not self.min <= self.start <= self.max:
            raise ValueError(
                f"start is {self.start}; expected one from min, {self.min}, to max, {self.max}"
            )
        return self


class QueueSettings(Section):
    """What happens where there is more work than a backend can do."""

    enabled: bool = Field(True, description="Hold answers back that the backend cannot write yet.")
    length: int = Field(256, ge=0, description="Places in the queue; 0: nobody waits.")
    wait_s: Seconds = Field(
        2, description="Longest wait that a tenant's second answer is let in for."
    )
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="Shares of tenants, by name; who is not named has 1."
    )
    limit: LimitSettings = Field(default_factory=LimitSettings)


def _unqueued() -> QueueSettings:
    return QueueSettings(enabled=False)


class VllmSettings(Section):
    """A vLLM server, or several with the same base model, spoken to directly."""

    kind: Literal["vllm"] = "vllm"
    base_url: _Address = Field(
        "http://127.0.0.1:8100/v1", description="Address of the OpenAI API, with its /v1."
    )
    base_urls: tuple[_Address, ...] = Field(
        (), description="Addresses of several replicas, instead of base_url; see replicas.md."
    )
    base_url_dns: str = Field(
        "",
        description="Address whose host is a name in DNS, instead: every IP address behind it is a"
        " replica.",
    )
    base_urls_file: Path | None = Field(
        None, description="File that names the replicas, one address a line or YAML, instead."
    )
    replicas: ReplicaSettings = Field(default_factory=ReplicaSettings)
    base_model: str = Field(
        "", description="Name the server gives its base model; empty: as the local engine's."
    )
    api_key: SecretStr = Field(SecretStr(""), description="Key of the server; empty: none.")
    api_key_file: Path | None = Field(None, description="File that holds the key instead.")
    connect_timeout_s: Seconds = Field(5, description="Time to open a connection.")
    first_token_timeout_s: Seconds = Field(60, description="Longest wait for the first token.")
    stall_timeout_s: Seconds = Field(30, description="Longest silence between tokens.")
    max_connections: int = Field(1024, ge=1, description="Connections to the server at once.")
    priorities: bool | None = Field(
        None,
        description="Send tenants' priorities, which takes a server with --scheduling-policy"
        " priority; absent: to the local engine.",
    )
    queue: QueueSettings = Field(default_factory=QueueSettings)
    hedge: HedgeSettings = Field(default_factory=HedgeSettings)

    @field_validator("base_url_dns")
    @classmethod
    def _has_a_name(cls, url: str) -> str:
        """Refuse what has no name to look up, or one that a certificate would be checked for."""
        if url and not _DNS_URL.fullmatch(url):
            raise ValueError(
                "expected an address with a name as its host, http://engines.internal:8100/v1;"
                " replicas behind https are listed in base_urls, by the names their certificates"
                " are for"
            )
        return _usable(url)

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        """Refuse several ways of naming the replicas at once."""
        ways = {
            "base_urls": self.base_urls,
            "base_url_dns": self.base_url_dns,
            "base_urls_file": self.base_urls_file,
        }
        given = [name for name, value in ways.items() if value]
        if len(given) > 1:
            raise ValueError(
                f"{' and '.join(given)} both name the replicas; expected one of them: take the"
                " others out"
            )
        return self


class LitellmSettings(Section):
    """Any other provider, by way of LiteLLM."""

    kind: Literal["litellm"]
    base_model: str = Field(min_length=1, description="LiteLLM's name: `openai/llama-3-taiwan`.")
    revision_model: str = Field(
        "",
        description="Name for an adapter revision, holding {revision}; empty: base_model.",
    )
    api_base: Annotated[str, AfterValidator(_usable)] = Field(
        "", description="Address of the provider, where LiteLLM needs one."
    )
    api_key: SecretStr = Field(SecretStr(""), description="Key of the provider; empty: none.")
    api_key_file: Path | None = Field(None, description="File that holds the key instead.")
    context_tokens: int | None = Field(None, ge=1, description="Context length, where known.")
    first_token_timeout_s: Seconds = Field(60, description="Longest wait for the first token.")
    stall_timeout_s: Seconds = Field(30, description="Longest silence between tokens.")
    queue: QueueSettings = Field(default_factory=_unqueued)


def _kind(value: Any) -> str:
    """Tell which backend a section describes; vLLM where it does not say."""
    kind = value.get("kind", "vllm") if isinstance(value, dict) else getattr(value, "kind", "")
    return str(kind)


BackendSettings = Annotated[
    Annotated[VllmSettings, Tag("vllm")] | Annotated[LitellmSettings, Tag("litellm")],
    Discriminator(_kind),
]


def default_backends() -> dict[str, VllmSettings | LitellmSettings]:
    """Give what holds where no backend is set: the local engine."""
    return {"local": VllmSettings()}


class ToExpert(Section):
    """Another expert answers."""

    expert: str = Field(min_length=1, description="Its name.")


class ToBackend(Section):
    """The expert's prompt goes to another backend, without its adapter."""

    backend: str = Field(min_length=1, description="Its name.")


def _step_kind(value: Any) -> str | None:
    """Tell which kind of step stands there; None: none."""
    if isinstance(value, str):
        return value if value == FallbackKind.BASE_MODEL.value else None
    for kind, known in ((FallbackKind.EXPERT, ToExpert), (FallbackKind.BACKEND, ToBackend)):
        if isinstance(value, known) or (isinstance(value, dict) and set(value) == {kind.value}):
            return kind.value
    return None


Fallback = Annotated[
    Annotated[Literal["base_model"], Tag(FallbackKind.BASE_MODEL.value)]
    | Annotated[ToExpert, Tag(FallbackKind.EXPERT.value)]
    | Annotated[ToBackend, Tag(FallbackKind.BACKEND.value)],
    Discriminator(
        _step_kind,
        custom_error_type="fallback",
        custom_error_message="expected base_model, or `expert: NAME`, or `backend: NAME`",
    ),
]
"""One who may answer in an expert's place, as it is written in YAML."""


def read_steps(written: Sequence[Fallback]) -> tuple[FallbackStep, ...]:
    """Give as values what is written of who may answer in an expert's place, in order."""
    return tuple(
        FallbackStep(kind=FallbackKind.EXPERT, name=step.expert)
        if isinstance(step, ToExpert)
        else FallbackStep(kind=FallbackKind.BACKEND, name=step.backend)
        if isinstance(step, ToBackend)
        else FallbackStep(kind=FallbackKind.BASE_MODEL)
        for step in written
    )


class FallbackSettings(Section):
    """Who answers where an expert's backend is gone; see fallback.md."""

    steps: tuple[Fallback, ...] = Field(
        (),
        description="Who is asked then, in order: base_model, expert: NAME, backend: NAME; none:"
        " nobody. An expert may say otherwise.",
    )
    on_overload: bool = Field(
        False, description="Also where its backend has more work than it can do."
    )
    within_s: Seconds = Field(
        60, description="Time from asking the expert to the first word of who answers for it."
    )
    tenants: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Tenants whose questions may go to a backend in this way, by its name; '*':"
        " all. One that is not named: of kind litellm nobody's, of kind vllm everybody's.",
    )
