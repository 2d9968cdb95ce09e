"""Which teaching lines are held out together.

Neighbouring lines of a file treat the same sub-topic. Blocks of them are held out whole,
so that a model is judged on questions it saw nothing close to.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def assign_folds(labels: Sequence[str], folds: int, block_lines: int) -> NDArray[np.intp]:
    """Number each line's fold, shape (n_lines,), values in [0, folds).

    Every label of at least two lines stands in at least two folds. Nothing is random.

    Args:
        labels: Label of each line; the lines of one label in their own order.
        folds: Number of folds, ≥ 2.
        block_lines: Lines in a block, ≥ 1; less for a label with few lines.
    """
    totals = Counter(labels)
    block = {label: max(1, min(block_lines, n // folds)) for label, n in totals.items()}
    seen: Counter[str] = Counter()
    assigned = np.empty(len(labels), dtype=np.intp)
    for i, label in enumerate(labels):
        assigned[i] = seen[label] // block[label] % folds
        seen[label] += 1
    return assigned
