"""What a router is made of is seen to change; nothing else is."""

import os
from pathlib import Path

from tame_router.workers.changes import signature


def test_changes_in_files_and_folders_are_seen(tmp_path: Path) -> None:
    """A file written, made or removed changes the signature; looking at it does not."""
    config, folder = tmp_path / "tame.yaml", tmp_path / "experts"
    (folder / "legal").mkdir(parents=True)
    config.write_text("a: 1")
    paths = (config, folder)
    seen = [signature(paths)]
    assert signature(paths) == seen[0]
    config.write_text("a: 12")
    seen.append(signature(paths))
    (folder / "legal" / "expert.yaml").write_text("name: legal")
    seen.append(signature(paths))
    os.utime(folder / "legal" / "expert.yaml", ns=(1, 1))
    seen.append(signature(paths))
    config.unlink()
    seen.append(signature(paths))
    assert len(set(seen)) == len(seen)


def test_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    """Neither a missing file nor a link to nowhere keeps the rest from being seen."""
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert signature((tmp_path / "gone", tmp_path)) == frozenset()
