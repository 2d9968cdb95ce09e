"""Findings: what is wrong with an upload, each with a stable code and what to do about it."""

from dataclasses import dataclass

from tame_router.registry.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with a revision, or worth knowing.

    Attributes:
        reason: Its stable code.
        message: What is wrong, and the value seen; no path of this machine, no secret.
        advice: What to do about it.
        path: File of the revision that it is about; empty: the revision as a whole.
        fatal: The revision is refused for it.
    """

    reason: Reason
    message: str
    advice: str
    path: str = ""
    fatal: bool = True
