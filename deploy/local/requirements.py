"""Print a dependency group of pyproject.toml, one requirement a line.

Usage: `python deploy/local/requirements.py GROUP`. Pip reads groups by itself only from
25.1 on, and a fresh Python 3.11 brings an older one.
"""

import sys
import tomllib
from pathlib import Path


def main() -> None:
    """Print the group named on the command line."""
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    groups = tomllib.loads(project.read_text(encoding="utf-8"))["dependency-groups"]
    print("\n".join(groups[sys.argv[1]]))


if __name__ == "__main__":
    main()
