"""Commands that look like a worker to whoever starts them."""

import sys

READY = "print('serving on 127.0.0.1:1', flush=True)"
"""What a worker says once it takes calls."""

WAITS = "import signal; signal.pause()"
"""It stays, until a signal ends it."""


def program(*lines: str) -> list[str]:
    """Give the command of a process that runs lines of Python."""
    return [sys.executable, "-c", "\n".join(lines)]
