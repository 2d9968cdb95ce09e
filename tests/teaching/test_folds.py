"""Which teaching lines are held out together."""

from hypothesis import given
from hypothesis import strategies as st

from tame_router.teaching.folds import assign_folds


def test_neighbours_are_held_out_together() -> None:
    """Blocks of neighbours go round the folds."""
    assert assign_folds(["a"] * 12, 3, 2).tolist() == [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]


@given(
    st.lists(st.sampled_from("abc"), max_size=60).map(sorted),
    st.integers(2, 6),
    st.integers(1, 10),
)
def test_every_label_is_always_taught(labels: list[str], folds: int, block_lines: int) -> None:
    """Holding a fold out never takes all lines of a label that has two."""
    assigned = assign_folds(labels, folds, block_lines)
    assert all(0 <= fold < folds for fold in assigned)
    for label in set(labels):
        mine = {fold for fold, name in zip(assigned, labels, strict=True) if name == label}
        assert len(mine) >= min(2, labels.count(label))
