"""What a vLLM server is, as it says itself at `/v1/models`. Values only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerIdentity:
    """One server process.

    Attributes:
        base_model: Name it serves its base model under.
        context_tokens: The base model's context length; None: it does not say.
        adapters: Names of the adapters it has loaded since it started, the oldest first.
    """

    base_model: str
    context_tokens: int | None
    adapters: tuple[str, ...] = ()
