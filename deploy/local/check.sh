#!/usr/bin/env bash
# Everything that is checked without running the program, in order; stops at the first failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
step() { printf '\n— %s\n' "$*"; "$@"; }

step ruff format --check .
step ruff check .
step buf lint
step buf format --diff --exit-code
step buf breaking --against protos/released.binpb
step python protos/generate.py --check
step mypy
step lint-imports
step deptry .

printf '\n— no file over 300 lines\n'
long=$(git ls-files '*.py' | grep -v '^tame_router/v1/' | xargs wc -l | awk '$1 > 300 && $2 != "total"')
if [ -n "$long" ]; then printf '%s\n' "$long"; exit 1; fi

printf '\n— the version in the changelog\n'
version=$(python -c 'import tame_router; print(tame_router.__version__)')
grep -q "^## \[$version\]" CHANGELOG.md || { echo "CHANGELOG.md lacks a heading for $version"; exit 1; }
echo "$version"
