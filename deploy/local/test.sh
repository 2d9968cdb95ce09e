#!/usr/bin/env bash
# All tests: those that wait more than they compute on every core, with the coverage gate, then
# those with a real vLLM, which takes every core by itself.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"

failed=0
pytest -m "not engine" --numprocesses auto --dist loadfile --cov --cov-report= || failed=$?
pytest -m engine || failed=$?
[ "$failed" = 0 ] || exit "$failed"
coverage report
