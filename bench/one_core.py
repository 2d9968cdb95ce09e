"""Run a program on one core, with one thread for every library that would take more."""

import os
import subprocess
import sys
from collections.abc import Sequence

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def run_on_one_core(command: Sequence[str]) -> str:
    """Run a program, pinned before it starts, and give what it wrote to standard output.

    Raises:
        CalledProcessError: When it exits with another code than 0.
    """
    core = max(os.sched_getaffinity(0))
    done = subprocess.run(
        command,
        env={**os.environ, **ENVIRONMENT},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        check=True,
        text=True,
    )
    return done.stdout
