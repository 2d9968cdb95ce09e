"""A backend as traces name it: whose it is, and where."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tame_router.config_backends import LitellmSettings, VllmSettings
from tame_router.telemetry.trace import Attribute

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Who writes the words.

    Attributes:
        provider: As in `gen_ai.provider.name`: `vllm`, or LiteLLM's first word, `openai`.
        address: Host name; empty: not known.
        port: Port; 0: not known.
    """

    provider: str
    address: str = ""
    port: int = 0

    @classmethod
    def of(cls, settings: VllmSettings | LitellmSettings) -> "Upstream":
        """Tell from a backend's section."""
        if isinstance(settings, VllmSettings):
            urls = (*settings.base_urls, settings.base_url_dns)
            provider, url = "vllm", next(filter(None, urls), settings.base_url)
            if settings.base_urls_file is not None:
                url = ""
        else:
            provider, url = settings.base_model.partition("/")[0], settings.api_base
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
        return cls(provider=provider, address=parts.hostname or "", port=port)

    def attributes(self) -> dict[str, Attribute]:
        """Give what is known as attributes of a span."""
        known: dict[str, Attribute] = {"gen_ai.provider.name": self.provider}
        if self.address:
            known["server.address"] = self.address
            known["server.port"] = self.port
        return known
