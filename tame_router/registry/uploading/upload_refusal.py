"""How an upload is refused for what was found in it."""

from collections.abc import Sequence

from tame_router.errors_registry import UploadError
from tame_router.registry.finding import Finding

_TOLD = 3


def refusal(findings: Sequence[Finding]) -> UploadError:
    """Give the error: the first findings in its message, all their codes in its metadata."""
    told = "; ".join(_sentence(finding) for finding in findings[:_TOLD])
    more = len(findings) - _TOLD
    codes = dict.fromkeys(str(finding.reason) for finding in findings)
    return UploadError(
        f"the upload is refused: {told}" + (f"; and {more} more" if more > 0 else ""),
        metadata={"findings": ",".join(codes)},
    )


def _sentence(finding: Finding) -> str:
    place = f"{finding.path!r}: " if finding.path else ""
    return f"{finding.reason}, {place}{finding.message} ({finding.advice})"
