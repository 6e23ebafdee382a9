#!/usr/bin/env bash
# The programs this project needs beside Python, by Debian package. Installs what is missing when it may
# (root, apt-get); else says what to install. PostgreSQL is not among them: it comes as a Python package.
set -euo pipefail

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need git git
need make make
need tar tar
"$(dirname "${BASH_SOURCE[0]}")/find-python.sh" >/dev/null 2>&1 || missing+=(python3 python3-venv)

if [ ${#missing[@]} -eq 0 ]; then
    echo "System packages: nothing missing"
elif [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "System packages: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
    echo "Missing programs; install these packages and try again: ${missing[*]}" >&2
    exit 1
fi
