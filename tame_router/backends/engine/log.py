"""What an engine's log tells: how far the start is, and why it failed."""

import re
from pathlib import Path

TELLING_LINES = 6
_STAGES = (
    (r"non-default args", "reading its arguments"),
    (r"Initializing a V\d LLM engine", "starting its workers"),
    (r"Starting to load model", "loading the base model"),
    (r"Loading weights took|Loading model weights took", "preparing the cache"),
    (r"KV cache size", "warming up"),
    (r"init engine .* took", "starting the API"),
    (r"Loaded new LoRA adapter|Starting vLLM server", "loading the adapters"),
)
_PREFIX = re.compile(r"^\([^)]*pid=\d+\)\s*|^(ERROR|INFO|WARNING) \d\d-\d\d [\d:]+ \[[^\]]*\]\s*")
_TELLING = re.compile(
    r"^[\w.]*(Error|Exception)\b|[Ee]rror[:,]|No space left|[Oo]ut of memory|Killed|No module named"
)
_SIGNALS = {-9: "killed, which the system does when memory runs out", -15: "asked to stop"}


class EngineLog:
    """Follows one log file.

    Args:
        path: The file; may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._stage = "importing vLLM"

    def stage(self) -> str:
        """Read what is new, and tell what the engine does now."""
        for line in self._new_text().splitlines():
            for pattern, name in _STAGES:
                if re.search(pattern, line):
                    self._stage = name
        return self._stage

    def epitaph(self, code: int | None) -> str:
        """Tell why the engine ended.

        Args:
            code: Its exit code; a negative one is a signal; None: not known.
        """
        how = "" if code is None else f" ({_SIGNALS.get(code, f'exit code {code}')})"
        lines = telling_lines(self._text())
        said = "\n".join(f"  {line}" for line in lines) or "  its log is empty"
        return (
            f"the engine ended by itself{how} while {self.stage()}; it said:\n{said}\n"
            f"  the whole log: {self.path}"
        )

    def _new_text(self) -> str:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except OSError:
            return ""
        # A line that is still being written is left for the next time.
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.decode(errors="replace")

    def _text(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def telling_lines(text: str) -> list[str]:
    """Pick the lines of a log that say what went wrong; its last ones where none does."""
    lines = [_bare(line) for line in text.splitlines()]
    lines = [line for line in lines if line]
    errors = list(dict.fromkeys(line[:300] for line in lines if _TELLING.search(line)))
    return (errors or [line[:300] for line in lines])[-TELLING_LINES:]


def _bare(line: str) -> str:
    """Take off the process and the time that vLLM puts before its words."""
    text = line.strip()
    while (shorter := _PREFIX.sub("", text, count=1).strip()) != text:
        text = shorter
    return text
