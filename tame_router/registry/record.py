"""What the registry keeps in its records. Values only; `record_store` reads and writes them."""

import enum
from dataclasses import dataclass
from datetime import datetime

from tame_router.registry.finding import Finding
from tame_router.registry.manifest import Manifest
from tame_router.registry.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who caused a change; all empty: the router itself.

    Attributes:
        tenant: The tenant.
        subject: Who of it: the id of a key, or a subject.
        peer: The address that the call came from.
    """

    tenant: str = ""
    subject: str = ""
    peer: str = ""


ROUTER = Actor()
"""The router itself."""


class SignatureState(enum.StrEnum):
    """How a signature was found."""

    ABSENT = "absent"
    VERIFIED = "verified"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionRecord:
    """A revision, and what became of it.

    Attributes:
        name: `<expert>--<first 16 hexadecimal characters of the digest>`.
        expert: The expert it is for.
        digest: SHA-256 of the manifest, 64 hexadecimal characters.
        manifest: Its files.
        state: Where it stands.
        tenant: Who brought it.
        subject: Who of the tenant.
        findings: What validation, signature and gate found.
        signature: How its signature was found.
        signer: Who signed; empty: nobody.
        report: The gate's report as JSON; empty: none yet, or not read.
        create_time: When its upload was finished, UTC.
        update_time: When its state changed last, UTC.
        withdrawn: It was withdrawn and cannot be published again.
        removed: Its bytes were collected as garbage.
    """

    name: str
    expert: str
    digest: str
    manifest: Manifest
    state: State
    tenant: str
    subject: str
    create_time: datetime
    update_time: datetime
    findings: tuple[Finding, ...] = ()
    signature: SignatureState = SignatureState.ABSENT
    signer: str = ""
    report: str = ""
    withdrawn: bool = False
    removed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a revision holds of the store.

    Attributes:
        name: The revision.
        contents: SHA-256 of its files, 64 hexadecimal characters each.
        removed: Its bytes were noted to go as garbage.
    """

    name: str
    contents: frozenset[str]
    removed: bool = False


class Mode(enum.StrEnum):
    """How a canary is tried."""

    ANSWERING = "answering"
    """It answers its share of the conversations."""
    SHADOW = "shadow"
    """It answers copies of them, and nobody is given its answers."""
    PROVEN = "proven"
    """It was a shadow, was found good, and waits for somebody to publish it; it is not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Which revisions of an expert answer now.

    Attributes:
        expert: The expert.
        live: Name of the revision that answers; empty: the base model without adapter.
        canary: Name of the one that is tried on a share of the conversations; empty: none.
        canary_share: That share, in (0, 1); 0 without a canary.
        mode: How it is tried; ANSWERING without a canary.
        generation: Moves so far; 0: the label never moved, and the expert's folder says what
            is live.
        update_time: When it moved last, UTC; None: never.
    """

    expert: str
    live: str = ""
    canary: str = ""
    canary_share: float = 0.0
    mode: Mode = Mode.ANSWERING
    generation: int = 0
    update_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What makes a call the same as one before.

    Attributes:
        tenant: Whose call.
        method: What was called.
        request_id: Names the call; not empty.
    """

    tenant: str
    method: str
    request_id: str


class Action(enum.StrEnum):
    """What moved a label."""

    PUBLISH = "publish"
    CANARY = "canary"
    ROLLBACK = "rollback"
    SHADOW = "shadow"
    PROVE = "prove"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChange:
    """One move of a label; the list of them only grows.

    Attributes:
        label: The label after it.
        live_before: What was live before; empty: the base model without adapter.
        action: What moved it.
        actor: Who.
        because: Why, in a sentence.
        create_time: When, UTC.
    """

    label: Label
    live_before: str
    action: Action
    actor: Actor
    because: str
    create_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """One step in a revision's life; the list of them only grows.

    Attributes:
        sequence: Its number among those of all revisions; it grows.
        revision: The revision.
        before: State before; None for the first.
        state: State after.
        actor: Who caused it.
        because: Why, in a sentence.
        create_time: When, UTC.
    """

    sequence: int
    revision: str
    before: State | None
    state: State
    actor: Actor
    because: str
    create_time: datetime


class JobKind(enum.StrEnum):
    """What is to be done in the background."""

    VALIDATE = "validate"
    EVALUATE = "evaluate"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A long step that outlives a restart.

    Attributes:
        job_id: Names it.
        kind: What is to be done.
        revision: For which revision.
        owner: The process that does it now; empty: nobody.
        lease_time: Until when that process has it, UTC; None: nobody has.
        attempts: Times it was begun.
        actor: Who wanted it.
        payload: What else it needs, as JSON.
        error: Why it failed for good; empty: it did not.
        done: It is over.
    """

    job_id: str
    kind: JobKind
    revision: str
    actor: Actor
    payload: str = "{}"
    owner: str = ""
    lease_time: datetime | None = None
    attempts: int = 0
    error: str = ""
    done: bool = False
