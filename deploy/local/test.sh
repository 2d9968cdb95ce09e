#!/usr/bin/env bash
# All tests. Those with a real vLLM run beside the others: both wait much of their time.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
log=.tame/engine-tests.log

coverage erase
coverage run --parallel-mode -m pytest -m engine >"$log" 2>&1 &
engine=$!
trap 'kill "$engine" 2>/dev/null || true' EXIT
failed=0
coverage run --parallel-mode -m pytest -m "not engine" || failed=$?
printf '\n— the tests with a real vLLM\n'
wait "$engine" || failed=$?
cat "$log"
[ "$failed" = 0 ] || exit "$failed"

coverage combine --quiet
coverage report
