"""What a peer of the router answered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAnswers:
    """What a peer answered to the questions.

    Attributes:
        leads: The expert it gives each question to.
        lines: Teaching lines it was taught with.
        taught_s: Time that took, embeddings not included, in seconds.
        ms_p50: Median time of a question, in milliseconds; None: not measured.
        ms_p50_without_encoder: The same without the time in the encoder; None: it has none.
        unrouted: Share of questions it gave nobody, and so the fallback.
        note: How it was set up, in a few words.
    """

    leads: tuple[str, ...]
    lines: int
    taught_s: float
    ms_p50: float | None
    ms_p50_without_encoder: float | None = None
    unrouted: float = 0.0
    note: str = ""
