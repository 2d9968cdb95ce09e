#!/usr/bin/env bash
# Install the servers that some tests start for themselves: Redis, PostgreSQL, Prometheus.
# Without them those tests are passed over, and say so. Debian and its kin, as root or by sudo.
set -euo pipefail

missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
command -v promtool >/dev/null || missing+=(prometheus)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
if [ ${#missing[@]} -eq 0 ]; then
    echo "redis-server, promtool and PostgreSQL are there"
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "install with your package manager: ${missing[*]}" >&2
    exit 1
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
