"""Log-probabilities that a join would like to have, and not every provider gives."""

from typing import Any, Final

_LOGPROBS: Final = ("logprobs", "top_logprobs")


def given(library: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a call what its provider does not know of log-probabilities.

    LiteLLM would refuse the call.

    Args:
        library: The module `litellm`.
        arguments: Of a call; `model` is LiteLLM's name.
    """
    known = library.get_supported_openai_params(model=arguments["model"])
    if known is None:  # it knows no such provider, and says so when it is called
        return arguments
    left_out = {name for name in _LOGPROBS if name not in known}
    if "logprobs" in left_out:
        left_out.update(_LOGPROBS)
    return {name: value for name, value in arguments.items() if name not in left_out}
