"""The place in a page where a bench puts its tables: between two marks."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where tables go.

    Attributes:
        begin: The mark before them.
        end: The mark behind them.
    """

    begin: str
    end: str

    def fill(self, page: str, drawn: str) -> str:
        """Put tables between the marks of a page, in place of what stands there.

        Raises:
            ValueError: When the page has no such marks.
        """
        before, begin, rest = page.partition(self.begin)
        _, end, after = rest.partition(self.end)
        if not (begin and end):
            raise ValueError(
                f"the page has no place for tables; write {self.begin} and {self.end} into it"
            )
        return f"{before}{begin}\n\n{drawn}\n\n{end}{after}"

    def fill_file(self, path: Path, drawn: str) -> None:
        """Do it to a file.

        Raises:
            ValueError: When the page has no such marks.
            OSError: When it cannot be read or written.
        """
        path.write_text(self.fill(path.read_text(encoding="utf-8"), drawn), encoding="utf-8")
