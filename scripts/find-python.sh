#!/usr/bin/env bash
# Prints the interpreter to build .venv with: $PYTHON, or the first on PATH that is 3.11 or newer and can make one.
set -euo pipefail

suits() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ -n "${PYTHON:-}" ]; then
    candidates=("$PYTHON")
else
    candidates=(python3.11 python3.12 python3.13 python3.14 python3)
fi
for candidate in "${candidates[@]}"; do
    if command -v "$candidate" >/dev/null && suits "$candidate"; then
        command -v "$candidate"
        exit 0
    fi
done

{
    echo "No usable Python found among: ${candidates[*]}"
    echo "Python 3.11 or newer with venv and pip is needed. Install it (on Debian or Ubuntu:"
    echo "  apt-get install python3 python3-venv), or name one: make setup PYTHON=/path/to/python3.11"
} >&2
exit 1
