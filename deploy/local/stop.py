#!/usr/bin/env python3
"""Stop the router and the vLLM that `serve.py` left running.

python deploy/local/stop.py
"""

import sys
from pathlib import Path

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.local.router_process import RouterPidFile
from tame_router.cli.main import main as tame
from tame_router.config_file import load_settings


def main() -> int:
    """Stop both, the router first, so that answers under way can finish."""
    settings = load_settings()
    stopped = RouterPidFile(settings.state_dir / "router.json").stop(settings.server.grace_s + 5)
    print("router stopped" if stopped else "no router was running")
    return tame(["engine", "stop"])


if __name__ == "__main__":
    sys.exit(main())
