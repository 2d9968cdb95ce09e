"""The settings of the adapter registry: where adapters are kept, and what they must be.

Values only; `config` puts them into the whole.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from tame_router.config_access import Seconds, Section


class SigningSettings(Section):
    """Whose signatures count for a tenant's uploads."""

    policy: Literal["required", "optional"] = Field(
        "optional",
        description="required: an unsigned upload is refused; optional: a signature that is there"
        " must still be right.",
    )
    public_keys: tuple[Path, ...] = Field(
        (), description="PEM public keys (elliptic curve) whose signatures count."
    )
    certificates: tuple[Path, ...] = Field(
        (), description="PEM authorities; signing certificates that they issued count."
    )


class GateSettings(Section):
    """What a revision must reach before it may be published."""

    margin: float = Field(
        0.05, ge=0, le=1, description="By how much it may score below the live revision."
    )
    harm_margin: float = Field(
        0.05, ge=0, le=1, description="The same on the other experts' evaluation sets."
    )
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="Of the bootstrap intervals that decide."
    )
    most_cases: int = Field(
        200,
        ge=10,
        description="Cases asked of its own evaluation set; more are drawn by lot, those that must"
        " pass first.",
    )
    most_other_cases: int = Field(
        200, ge=0, description="The same of each other expert's; most of the time is theirs."
    )
    simplified_share: float = Field(
        0.002, ge=0, le=1, description="Share of Simplified characters that its answers may have."
    )
    domain_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of any other expert's teaching lines that a new domain may take, and of"
        " its own that may almost stand there.",
    )
    latency_ratio: float = Field(
        1.5, gt=1, description="Time per token against the live revision's, at most."
    )
    max_tokens: int = Field(96, ge=8, description="Tokens of a free answer.")
    timeout_s: Seconds = Field(1800, description="Longest evaluation.")
    at_once: int = Field(4, ge=1, description="Cases asked at the same time.")


class CanarySettings(Section):
    """When a canary is rolled back, or published for all, by itself."""

    automatic: bool = Field(
        True,
        description="Roll a canary back that is clearly worse, and publish one for all that is"
        " good.",
    )
    error_share: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="Canaries as good as the live revision that may be rolled back by chance.",
    )
    ratings_per_key: int = Field(
        3,
        ge=0,
        description="Bad ratings about one canary that count of one key, certificate or person,"
        " however many users it names; more for a gateway that asks for many by one key.",
    )
    judge: str = Field(
        "",
        description="Who compares a shadow's answers with the live revision's: an expert, whose"
        " backend's base model does, or `base`, that of the expert itself; empty: nobody.",
    )
    shadow_at_once: int = Field(
        2, ge=1, le=64, description="Copies for shadows that are asked at the same time."
    )
    shadow_timeout_s: Seconds = Field(
        60, description="Longest time for a copy, and for comparing its answer."
    )
    publish_good_shadows: bool = Field(
        False, description="Publish a shadow for all that is good, as a canary is."
    )


class RegistrySettings(Section):
    """The life cycle of adapters."""

    url: str = Field(
        "",
        description="Where adapters' bytes are kept: a folder, or s3://bucket/prefix with the"
        " extra `s3`; empty: registry/ in state_dir.",
    )
    base_model_dir: Path | None = Field(
        None,
        description="Folder with the base model's config.json, against which shapes are checked;"
        " absent: the local engine's, where it is a folder.",
    )
    max_file_bytes: int = Field(4 * 2**30, ge=2**10, description="Largest file of an upload.")
    max_upload_bytes: int = Field(8 * 2**30, ge=2**10, description="Largest upload.")
    max_tenant_bytes: int = Field(
        64 * 2**30, ge=2**10, description="Bytes that a tenant's revisions may take on disk."
    )
    max_rank: int = Field(
        0, ge=0, description="Largest rank of an adapter; 0: the local engine's max_lora_rank."
    )
    variants: tuple[Literal["dora", "rslora"], ...] = Field(
        ("rslora",), description="Variants of LoRA that the engines serve."
    )
    require_base_model_digest: bool = Field(
        False, description="Refuse uploads that do not say the base model's digest."
    )
    signing: SigningSettings = Field(
        default_factory=SigningSettings, description="For tenants without a section of their own."
    )
    signers: dict[str, SigningSettings] = Field(
        default_factory=dict, description="By tenant: whose signatures count."
    )
    gate: GateSettings = Field(default_factory=GateSettings)
    canary: CanarySettings = Field(default_factory=CanarySettings)
    quorum: float = Field(
        1.0, gt=0, le=1, description="Share of the replicas, rounded up, that must have loaded it."
    )
    prepare_timeout_s: Seconds = Field(
        60, description="Time a replica may take to load and answer."
    )
    refresh_s: Seconds = Field(
        1, description="Time after which other routers see a moved label, at most."
    )
    lease_s: Seconds = Field(
        15,
        description="Time after which what a router that died was doing is taken up by another, or"
        " by itself when it is back.",
    )
    upload_hours: float = Field(
        48, gt=0, description="Age at which an unfinished upload is thrown away."
    )
    retention_days: int = Field(
        90, ge=1, description="Age at which bytes of refused and retired revisions may go."
    )
