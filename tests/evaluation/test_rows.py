"""JSON lines; what they refuse is tested with the commands that read them."""

from pathlib import Path

from tame_router.evaluation.rows import open_rows, read_rows


def test_rows_know_their_place(tmp_path: Path) -> None:
    """Lines are counted from 1, blank ones too; a byte-order mark is passed over."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "a"}\n\n{"text": "b", "n": 1}')
    first, second = read_rows(path, open_rows(path))
    assert (first.place, first.values) == (f"{path}:1", {"text": "a"})
    assert (second.place, second.values) == (f"{path}:3", {"text": "b", "n": 1})
