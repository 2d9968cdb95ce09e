"""Whether the paths of announced files can lie in one folder, and nowhere else.

The rules of validation are stricter; these hold whatever the rules are.
"""

from collections.abc import Sequence

from tame_router.registry.finding import Finding
from tame_router.registry.manifest import FileEntry
from tame_router.registry.reason import Reason
from tame_router.registry.revision_file import SAFE_PATH


def check_paths(files: Sequence[FileEntry]) -> list[Finding]:
    """Find paths that lead elsewhere, stand twice, or are a file and a folder."""
    findings = []
    seen: set[str] = set()
    folders = {folder for file in files for folder in _folders(file.path)}
    for file in files:
        if not SAFE_PATH.fullmatch(file.path):
            findings.append(
                Finding(
                    reason=Reason.PATH_UNSAFE,
                    message=f"{file.path!r} is no plain path below the folder",
                    advice="name files with letters, digits, `.`, `_` and `-`",
                    path=file.path,
                )
            )
        elif file.path in seen or file.path in folders:
            findings.append(
                Finding(
                    reason=Reason.PATH_TWICE,
                    message="this path is announced twice, or is a folder of another",
                    advice="announce each file once",
                    path=file.path,
                )
            )
        seen.add(file.path)
    return findings


def _folders(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]
