"""A program that stands for vLLM's API server: real process, real port, no computing.

Takes vLLM's arguments, of which it reads `--port`, and one of its own: `--behaviour`,
which is `serve`, `die`, `hang` (never answers) or `stubborn` (ignores SIGTERM). It always
starts a child of its own, whose number it writes beside the log, as vLLM has workers.
"""

import argparse
import http.server
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

CHILD = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"


class _Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def main() -> None:
    """Behave as told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--behaviour", default="serve")
    parser.add_argument("--report", type=Path, required=True)
    options, _ = parser.parse_known_args()
    if options.behaviour == "die":
        print("(Worker pid=7) INFO 11-23 22:14:17 [a.py:1] Starting to load model x", flush=True)
        print("(Worker pid=7) ERROR 11-23 22:14:18 [b.py:2] ValueError: rank 64 is too large")
        print("some line after it", flush=True)
        sys.exit(3)
    child = subprocess.Popen([sys.executable, "-c", CHILD])
    report = {
        "child": child.pid,
        "key": os.environ.get("VLLM_API_KEY"),
        "argv": sys.argv,
        "session": os.getsid(0),
    }
    options.report.write_text(json.dumps(report), encoding="utf-8")
    if options.behaviour == "hang":
        time.sleep(300)
    server = http.server.HTTPServer(("127.0.0.1", options.port), _Health)
    if options.behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server.serve_forever()


if __name__ == "__main__":
    main()
