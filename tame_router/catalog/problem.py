"""A fault in a file that a person edits, with the place to look at."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One fault.

    Attributes:
        path: The file or folder.
        line: Line from 1; 0: the file as a whole.
        message: What is wrong, what was expected, what to do.
        fatal: A fault, which fails a check; otherwise it is advice.
    """

    path: Path
    line: int
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        """Write it the way compilers do: `path:line: message`."""
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{place}: {self.message}" if self.fatal else f"{place}: advice: {self.message}"
