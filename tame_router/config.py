"""The settings of the service, section by section, with their units and defaults.

Values only; `config_file` reads them. Every object receives its own section, never all.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr

from tame_router.chat import Guarding
from tame_router.config_access import (
    AuditSettings,
    HttpSettings,
    IdentitySettings,
    Port,
    QuotaSettings,
    ReceiptSettings,
    Seconds,
    Section,
    TelemetrySettings,
    TenantSettings,
    TlsSettings,
    said_off,
)
from tame_router.config_backends import BackendSettings, FallbackSettings, default_backends
from tame_router.config_registry import RegistrySettings


class ServerSettings(Section):
    """The gRPC port, and what both ports share."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Port = Field(50051, description="Port to listen on; 0: any free one.")
    grace_s: Seconds = Field(30, description="Time in-flight answers get after SIGTERM.")
    max_answers: int = Field(
        1024,
        ge=1,
        description="Answers under way at once; more are refused with RESOURCE_EXHAUSTED.",
    )
    max_streams_per_connection: int = Field(
        1024, ge=1, description="HTTP/2 streams that one connection may hold open."
    )
    max_message_bytes: int = Field(
        16 * 2**20, ge=2**16, le=2**30, description="Largest gRPC message that is read at all."
    )
    message_timeout_s: Seconds = Field(
        60, description="Time a message of a gRPC request may take, and a call's first to come."
    )
    max_connections: int = Field(
        4096, ge=1, description="Connections of the gRPC ports open at once, together."
    )
    keepalive_s: Seconds = Field(60, description="Idle time after which a connection is pinged.")
    reflection: bool = Field(True, description="Serve gRPC reflection.")
    transport: Literal["asyncio", "grpcio"] = Field(
        "asyncio",
        description="What speaks HTTP/2 on the gRPC port: this router itself, in its event loop, or"
        " gRPC's own library, which takes several times the CPU of a streamed answer, and knows"
        " neither message_timeout_s nor max_connections.",
    )
    workers: int = Field(
        0,
        ge=0,
        le=256,
        description="Processes that serve side by side on the ports, replaced as a whole on SIGHUP;"
        " 0: this process alone.",
    )
    reload_on_change: bool = Field(
        False,
        description="With workers: replace them also when the configuration file or the experts"
        " change.",
    )
    reuse_port: bool = Field(
        False, description="Let other routers listen on the same ports; workers do by themselves."
    )
    insecure: bool = Field(
        False, description="Ask nobody who they are; for this machine's own address only."
    )


class LimitSettings(Section):
    """What a request may hold, and for how long."""

    max_messages: int = Field(256, ge=1, description="Messages in one conversation.")
    max_text_bytes: int = Field(
        2**20, ge=1, description="UTF-8 bytes of text in one request, all messages together."
    )
    unread_s: Seconds = Field(
        60, description="Time for which a caller may take nothing of its stream; then it ends."
    )


class EncoderSettings(Section):
    """What looks again where words alone are not enough."""

    enabled: bool = Field(True, description="Use an encoder where there is one.")
    model: str = Field(
        "",
        description="sentence-transformers folder or hub name; empty: the embedded encoder,"
        " where `make encoder` has made it.",
    )
    threads: int = Field(
        2, ge=1, le=256, description="Questions that the encoder looks at side by side."
    )


JoinName = Literal["single", "panel", "second_opinion", "fuse", "vote", "best_of"]


class RoutingSettings(Section):
    """How experts are selected."""

    encoder: EncoderSettings = Field(default_factory=EncoderSettings)
    threshold: float = Field(
        0.5, ge=0, le=1, description="Calibrated probability below which the fallback answers."
    )
    coverage: float = Field(
        0.92,
        ge=0,
        lt=1,
        description="Share of questions whose conformal set is to hold the right expert; the"
        " fallback answers where it is in the set.",
    )
    max_experts: int = Field(2, ge=1, description="Experts selected for one question, at most.")
    second_threshold: float = Field(
        0.02, ge=0, le=1, description="Relevance from which an expert is selected beside the lead."
    )
    fallback: str = Field("general", description="Expert that answers when none is sure enough.")
    join: JoinName = Field(
        "panel", description="How answers are joined where a question needs several experts."
    )
    join_threshold: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Relevance from which an expert beside the lead answers too, where the caller"
        " names no join.",
    )
    most_experts: int = Field(
        4, ge=2, le=16, description="Experts that a caller may have asked for one question."
    )


class JoinSettings(Section):
    """How long experts are waited for where several answer, and who judges them."""

    first_token_timeout_s: Seconds = Field(
        30, description="Longest wait for one expert's first token; then the others answer."
    )
    stall_timeout_s: Seconds = Field(20, description="Longest silence of one of the experts.")
    draft_timeout_s: Seconds = Field(
        60, description="Time a draft for fuse may take; then the others are made use of."
    )
    quorum: float = Field(
        0.6,
        gt=0,
        le=1,
        description="Share of the drafts, rounded up, that fuse waits for; those that are late"
        " are used as far as they are.",
    )
    judge: str = Field(
        "", description="Expert that chooses the best draft; empty: its log-probabilities do."
    )
    most_waiting_chars: int = Field(
        65_536,
        ge=1_024,
        description="Characters of one expert that are held; then it is not read on, or is cut"
        " short where all of them are needed at once.",
    )


class GuardSettings(Section):
    """Simplified Chinese in answers to those who read Traditional."""

    simplified: Annotated[Guarding, BeforeValidator(said_off)] = Field(
        Guarding.COUNT,
        description="off, count it, or convert it as Taiwan writes; an expert may say otherwise.",
    )


class EngineSettings(Section):
    """The local vLLM that `tame engine start` runs."""

    python: Path = Field(
        Path(".tame/engine/venv/bin/python"), description="Interpreter that has vLLM installed."
    )
    base_model: str = Field(
        "", description="Folder or hub name of the base model; empty: the one for this machine."
    )
    served_name: str = Field("", description="Name callers use; empty: the base model's own.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Port = Field(8100, description="Port to listen on; 0: any free one.")
    tensor_parallel_size: int = Field(1, ge=1, description="GPUs that share the base model.")
    max_model_len: int | None = Field(
        None, ge=256, description="Context length in tokens; absent: 2048 on a CPU, 8192 on a GPU."
    )
    max_loras: int = Field(4, ge=1, description="Adapters in one batch.")
    max_lora_rank: int = Field(16, ge=1, description="Largest rank of an adapter.")
    adapter_cache_bytes: int = Field(
        16 * 2**30, ge=2**20, description="Most bytes of the local copies of published adapters."
    )
    adapter_experts: tuple[str, ...] = Field(
        (), description="Experts whose published adapters it loads; none named: all."
    )
    tool_call_parser: str = Field(
        "", description="vLLM's reader of tool calls; empty: the base model's, where it is known."
    )
    chat_template: Path | None = Field(
        None, description="Jinja file that renders conversations; absent: the base model's own."
    )
    otlp_endpoint: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="OTLP collector for the engine's traces, by gRPC; empty: none.",
    )
    start_timeout_s: Seconds = Field(900, description="Longest start, downloads included.")
    extra_args: tuple[str, ...] = Field((), description="Further arguments for vLLM.")


class LogSettings(Section):
    """What is written to standard error."""

    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, JSON elsewhere."
    )
    level: Literal["debug", "info", "warning", "error"] = "info"
    texts: bool = Field(False, description="Also log questions and answers. Mind privacy.")


class StoreSettings(Section):
    """The database: tenants, keys, usage, audit, feedback."""

    url: SecretStr = Field(
        SecretStr(""),
        description="SQLAlchemy's URL, which may hold a password; empty: SQLite in state_dir.",
    )


class Settings(Section):
    """All settings."""

    state_dir: Path = Field(Path(".tame"), description="Folder for what the service builds.")
    experts_dir: Path = Field(Path("experts"), description="Folder of expert folders.")
    server: ServerSettings = Field(default_factory=ServerSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    tls: TlsSettings = Field(default_factory=TlsSettings)
    identity: IdentitySettings = Field(default_factory=IdentitySettings)
    tenants: TenantSettings = Field(default_factory=TenantSettings)
    quota: QuotaSettings = Field(default_factory=QuotaSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    receipts: ReceiptSettings = Field(default_factory=ReceiptSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    routing: RoutingSettings = Field(default_factory=RoutingSettings)
    joins: JoinSettings = Field(default_factory=JoinSettings)
    guard: GuardSettings = Field(default_factory=GuardSettings)
    backends: dict[str, BackendSettings] = Field(default_factory=default_backends, min_length=1)
    fallback: FallbackSettings = Field(default_factory=FallbackSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    registry: RegistrySettings = Field(default_factory=RegistrySettings)
    log: LogSettings = Field(default_factory=LogSettings)
