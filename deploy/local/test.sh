#!/usr/bin/env bash
# All tests: those that wait more than they compute on every core, then those with a real vLLM,
# which takes every core by itself.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"

failed=0
pytest -m "not engine" --numprocesses auto --dist loadfile --cov --cov-report= || failed=$?
pytest -m engine --cov --cov-append --cov-report= || failed=$?
[ "$failed" = 0 ] || exit "$failed"
coverage report
