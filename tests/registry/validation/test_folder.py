"""Checking a folder on this machine."""

import os
from pathlib import Path

from tame_router.registry.reason import Reason
from tame_router.registry.validation.folder import check_folder, list_folder
from tame_router.registry.validation.validation import Validation
from tests.registry.validation.upload import EXPERT, RULES, base_model, fatal, small_upload


def write(folder: Path) -> Path:
    """Write the small adapter."""
    folder.mkdir()
    for path, data in small_upload().files.items():
        (folder / path).write_bytes(data)
    return folder


def test_a_folder_is_checked_like_an_upload(tmp_path: Path) -> None:
    """A good folder passes, and one with a byte less does not."""
    base, folder = base_model(tmp_path), write(tmp_path / "legal")
    assert check_folder(Validation(RULES, base), EXPERT, folder) == []
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    findings = check_folder(Validation(RULES, base), EXPERT, folder)
    assert fatal(findings) == {Reason.TENSOR_OFFSETS}


def test_links_and_pipes_are_refused_by_name(tmp_path: Path) -> None:
    """Neither is followed or read; a hidden file and one in a folder below are told too."""
    folder = write(tmp_path / "legal")
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    (folder / "below").mkdir()
    (folder / "below" / "more.bin").write_bytes(b"x")
    paths, findings = list_folder(folder)
    assert {finding.path for finding in findings} == {"README.md", "pipe"}
    assert fatal(findings) == {Reason.PATH_UNSAFE}
    assert folder / "below" / "more.bin" in paths
    found = check_folder(Validation(RULES, None), EXPERT, folder)
    assert fatal(found) == {Reason.PATH_UNSAFE, Reason.PICKLE_REFUSED}
