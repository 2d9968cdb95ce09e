"""The encoder that remembers texts."""

import numpy as np

from tame_router.routing.encoder import encoder_reading
from tame_router.teaching.embedding import KnownEmbeddings
from tests.fakes.encoder import FakeEncoder


def test_known_texts_are_not_embedded_again() -> None:
    """What is known is given as it was; the rest goes to the encoder."""
    encoder = FakeEncoder()
    texts = ["麵團發酵", "Bread dough"]
    rows = encoder.embed(list(map(encoder_reading, texts)))
    known = KnownEmbeddings(encoder, texts, rows)
    assert known.digest == encoder.digest
    encoder.seen.clear()
    assert np.array_equal(known.embed([encoder_reading("Bread dough")]), rows[1:])
    assert encoder.seen == []
    assert known.embed(["bicycle"]).shape == (1, rows.shape[1])
    assert encoder.seen == ["bicycle"]
