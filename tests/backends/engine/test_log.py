"""What an engine's log tells."""

from pathlib import Path

from tame_router.backends.engine.log import EngineLog, telling_lines


def test_a_stage_follows_the_log(tmp_path: Path) -> None:
    """Each step of the start is recognized once its whole line is written."""
    path = tmp_path / "engine.log"
    log = EngineLog(path)
    assert log.stage() == "importing vLLM"
    path.write_text("(EngineCore pid=1) INFO Initializing a V1 LLM engine (v0.32.0)\n", "utf-8")
    assert log.stage() == "starting its workers"
    with path.open("a", encoding="utf-8") as file:
        file.write("Loading weights too")
        file.flush()
        assert log.stage() == "starting its workers"
        file.write("k 0.8 seconds\n")
        file.flush()
        assert log.stage() == "preparing the cache"


def test_telling_lines_are_the_errors_without_what_vllm_puts_before_them() -> None:
    """Errors are picked once each, without process and time."""
    text = (
        "(APIServer pid=1) INFO 11-23 22:15:08 [a.py:1] all is well\n"
        "(Worker pid=2) ERROR 11-23 22:15:08 [b.py:2] ValueError: too large\n"
        "(Worker pid=3) ERROR 11-23 22:15:09 [b.py:2] ValueError: too large\n"
        "OSError: [Errno 28] No space left on device\n"
        "pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
        "  Value error, max_model_len (99999) is too large\n"
        "bye\n"
    )
    assert telling_lines(text) == [
        "ValueError: too large",
        "OSError: [Errno 28] No space left on device",
        "pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "Value error, max_model_len (99999) is too large",
    ]


def test_a_log_without_errors_gives_its_last_lines() -> None:
    """Where nothing looks like an error, the end is all there is."""
    assert telling_lines("\n".join(f"line {i}" for i in range(9)))[-1] == "line 8"


def test_an_epitaph_for_an_engine_that_said_nothing(tmp_path: Path) -> None:
    """An empty or missing log is said to be so."""
    assert "its log is empty" in EngineLog(tmp_path / "none.log").epitaph(None)
