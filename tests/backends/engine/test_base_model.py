"""Which base model is served, and how it writes tool calls."""

from pathlib import Path

import pytest

from tame_router.backends.engine.base_model import EMBEDDED, FOR_CUDA, choose_base_model


@pytest.mark.parametrize(
    ("source", "parser", "ours"),
    [
        ("", "hermes", True),
        (FOR_CUDA, "llama3_json", False),
        ("yentinglin/Llama-3-Taiwan-70B-Instruct", "llama3_json", False),
        ("someone/else", "", False),
    ],
)
def test_how_tools_are_written_is_known_by_name(source: str, parser: str, ours: bool) -> None:
    """The embedded one gets a template of ours too; of a stranger nothing is known."""
    base_model = choose_base_model(source, "", Path(".tame"), cuda=False)
    assert base_model.tool_call_parser == parser
    template = base_model.chat_template
    assert (template is not None and template.is_file()) == ours


def test_the_machine_decides_where_nobody_does() -> None:
    """The embedded one without a GPU, Llama-3-Taiwan with one, each under its plain name."""
    small = choose_base_model("", "", Path("/state"), cuda=False)
    assert (small.source, small.served_name) == (f"/state/base_models/{EMBEDDED}", EMBEDDED)
    large = choose_base_model("", "", Path("/state"), cuda=True)
    assert (large.source, large.served_name) == (FOR_CUDA, "llama-3-taiwan-8b-instruct")
