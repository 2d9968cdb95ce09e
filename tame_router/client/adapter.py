"""Adapters as the SDK gives them: revisions, labels, and what moved them."""

import enum
from dataclasses import dataclass
from datetime import datetime


class RevisionState(enum.StrEnum):
    """Where a revision stands in its life."""

    UNKNOWN = "unknown"
    """In a state that this SDK does not know."""
    VALIDATING = "validating"
    """Its files are received, and are being checked."""
    EVALUATING = "evaluating"
    """It answers its evaluation set beside the live revision."""
    APPROVED = "approved"
    """It may be published."""
    PUBLISHING = "publishing"
    """Replicas are made ready for it."""
    ACTIVE = "active"
    """It answers callers: all of them, or the share of a canary; or copies, as a shadow."""
    REJECTED = "rejected"
    """It was refused; findings and report say why."""
    RETIRED = "retired"
    """It has answered, or was withdrawn, and answers no more."""


UNDECIDED = frozenset({RevisionState.VALIDATING, RevisionState.EVALUATING})
"""States in which it is not known yet whether a revision may be published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterFile:
    """One file of a revision.

    Attributes:
        path: Its place in the revision, with `/` between folders.
        size_bytes: Its size.
        sha256: Its digest, 64 hexadecimal characters.
    """

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with a revision, or worth knowing.

    Attributes:
        reason: Its stable code, in UPPER_SNAKE.
        message: What is wrong, and the value seen.
        advice: What to do about it.
        path: File that it is about; empty: the revision as a whole.
        fatal: The revision is refused for it; False: a note.
    """

    reason: str
    message: str
    advice: str
    path: str
    fatal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """An immutable adapter that was uploaded, and what became of it.

    Attributes:
        name: `<expert>--<first 16 hexadecimal characters of the digest>`.
        expert: The expert it is for.
        digest: SHA-256 of its manifest, 64 hexadecimal characters.
        state: Where it stands.
        tenant: Who brought it.
        subject: Who of the tenant: the id of a key, or a subject.
        files: Its files, in order of their paths.
        size_bytes: All bytes of its files.
        findings: What validation, signature and gate found.
        signer: Who signed it; empty: nobody.
        report: The gate's report as JSON; empty: none yet, or the revision is part of a list.
        create_time: When its upload was finished, UTC.
        update_time: When its state changed last, UTC.
        withdrawn: It was withdrawn and cannot be published again.
    """

    name: str
    expert: str
    digest: str
    state: RevisionState
    tenant: str
    subject: str
    files: tuple[AdapterFile, ...]
    size_bytes: int
    findings: tuple[Finding, ...]
    signer: str
    report: str
    create_time: datetime | None
    update_time: datetime | None
    withdrawn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Which revisions of an expert answer now.

    Attributes:
        expert: The expert.
        live: Name of the revision that answers; empty: the base model without adapter.
        canary: Name of the one that answers a share of the conversations; empty: none.
        canary_share: That share, in (0, 1); 0 without a canary.
        generation: Moves so far.
        update_time: When it moved last, UTC; None: never.
        shadow: Name of the one that answers copies, for nobody; empty: none.
        shadow_share: Share of the conversations that are copied, in (0, 1); 0 without a shadow.
        shadow_good: The shadow was found good, is not asked any more, and waits to be published.
            Of a label in a history it is not told: the action `prove` is.
    """

    expert: str
    live: str
    canary: str
    canary_share: float
    generation: int
    update_time: datetime | None
    shadow: str = ""
    shadow_share: float = 0.0
    shadow_good: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChange:
    """One move of an expert's label.

    Attributes:
        label: The label after it.
        live_before: What was live before; empty: the base model without adapter.
        action: `publish`, `canary`, `rollback`, `shadow`, or `prove`: a shadow was found good.
        tenant: Whose call moved it; empty: the router itself.
        subject: Who of the tenant.
        peer: Address that the call came from; empty: the router itself.
        because: Why, in a sentence.
    """

    label: Label
    live_before: str
    action: str
    tenant: str
    subject: str
    peer: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """One step in a revision's life.

    Attributes:
        sequence: Its number among those of all revisions; watching goes on behind it.
        revision: The revision after it, without report.
        before: State before; None for the first.
        state: State after.
        tenant: Whose call caused it; empty: the router itself.
        subject: Who of the tenant.
        peer: Address that the call came from; empty: the router itself.
        because: Why, in a sentence.
        create_time: When, UTC.
    """

    sequence: int
    revision: Revision
    before: RevisionState | None
    state: RevisionState
    tenant: str
    subject: str
    peer: str
    because: str
    create_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisions:
    """Revisions without reports, the newest first, and the labels of their experts."""

    revisions: tuple[Revision, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """An expert's label as it is now, and its moves, the newest first."""

    label: Label
    changes: tuple[LabelChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a publication led to: the label, and the revision as it is now."""

    label: Label
    revision: Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a dry run found: the name the revision would have, and the findings."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def refused(self) -> bool:
        """Tell whether it would be refused."""
        return any(finding.fatal for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What garbage collection removed, or would remove.

    Attributes:
        revisions: Names of the revisions whose bytes are gone; their records stay.
        freed_bytes: Bytes set free.
        uploads: Unfinished uploads that were too old; a dry run does not count them.
        strays: Names of revisions without a record, as a crash leaves them; they are gone too.
        contents: SHA-256 of what else is gone, hexadecimal: contents that no revision names.
        damaged: Names of revisions that stay although their manifests cannot be read or are gone:
            upload them again.
    """

    revisions: tuple[str, ...]
    freed_bytes: int
    uploads: int
    strays: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadProgress:
    """What of an upload the router has safely received; it outlives a crash of either side."""

    received_bytes: int
    size_bytes: int
