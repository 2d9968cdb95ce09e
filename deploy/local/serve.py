#!/usr/bin/env python3
"""Start a local vLLM and the router, leave both running, and tell how to call them.

    python deploy/local/serve.py

What runs already is kept. `python deploy/local/stop.py` ends both.
"""

import sys
from pathlib import Path

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.local.router_process import RouterPidFile, read_addresses, start
from tame_router.backends.engine.process import read_status
from tame_router.cli.main import main as tame
from tame_router.config_file import load_settings

WITHOUT_KEYS = {"TAME_SERVER__INSECURE": "true"}
"""It listens on loopback, for whoever is at this machine."""

HOW_TO_CALL = """
router   {address}      log: {log}
         http://{http}/v1 for OpenAI clients
         without keys (server.insecure): for this machine only
engine   {engine}

On the command line:
  .venv/bin/tame ask "MOSFET 的 gate driver 要怎麼選?" --server {address}

From Python:
  from tame_router.client.client import Client
  with Client("{address}") as client:
      print(client.chat("租約到期房東不退押金怎麼辦？").content)

With grpcurl (reflection is on):
  grpcurl -plaintext -d '{{"messages": [{{"role": "ROLE_USER", "content": "你好"}}]}}' \\
      {address} tame_router.v1.RouterService/StreamChat

With any OpenAI client:
  from openai import OpenAI
  client = OpenAI(base_url="http://{http}/v1", api_key="none")

From Node:
  cd docs/examples/node && npm install && node ask.js "你好" {address}

Stop both with `make stop`.
"""


def main() -> int:
    """Start what does not run yet, and give the exit code."""
    settings = load_settings()
    if read_status(settings.state_dir).phase != "ready":
        code = tame(["engine", "start"])
        if code:
            return code
    log = settings.state_dir / "router.log"
    pid_file = RouterPidFile(settings.state_dir / "router.json")
    addresses = pid_file.addresses()
    if addresses is None:
        with log.open("w", encoding="utf-8") as errors:
            process = start(WITHOUT_KEYS, errors)
        try:
            addresses = read_addresses(process, log, http_enabled=settings.http.enabled)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
        pid_file.write(process.pid, addresses)
    engine = read_status(settings.state_dir).state
    print(
        HOW_TO_CALL.format(
            address=addresses.grpc,
            http=addresses.http or "–",
            log=log,
            engine=engine.base_url if engine else "–",
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
