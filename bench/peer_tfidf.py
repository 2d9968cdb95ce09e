"""A peer: logistic regression over raw TF-IDF of characters, taught with our own lines.

What anybody would write first, with scikit-learn's defaults but for the n-grams.
"""

import time
from collections.abc import Sequence

import numpy as np

from bench.peer import PeerAnswers

NGRAMS = (1, 4)


def ask_tfidf(texts: Sequence[str], experts: Sequence[str], asked: Sequence[str]) -> PeerAnswers:
    """Teach, and ask question by question.

    Args:
        texts: Teaching lines.
        experts: The expert of each.
        asked: Questions.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    begun = time.perf_counter()
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=NGRAMS, dtype=np.float32)
    vectors = vectorizer.fit_transform(texts)
    regression = LogisticRegression(max_iter=300)
    regression.fit(vectors, experts)
    taught_s = time.perf_counter() - begun
    leads, times_ms = [], []
    for text in asked:
        begun = time.perf_counter()
        leads.append(str(regression.predict(vectorizer.transform([text]))[0]))
        times_ms.append((time.perf_counter() - begun) * 1e3)
    return PeerAnswers(
        leads=tuple(leads), lines=len(texts), taught_s=taught_s, ms_p50=float(np.median(times_ms))
    )
