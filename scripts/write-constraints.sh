#!/usr/bin/env bash
# Resolves the ranges of pyproject.toml in an empty environment and writes what came out, names and versions only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$(scripts/find-python.sh)" -m venv "$scratch/venv"
echo "Resolving pyproject.toml in an empty environment (some minutes)"
"$scratch/venv/bin/python" -m pip install --disable-pip-version-check --no-input --quiet --editable '.[dev]'
{
    echo "# Exact versions of everything that pyproject.toml's ranges bring in. Written by 'make constraints'."
    "$scratch/venv/bin/python" -m pip freeze --disable-pip-version-check --exclude-editable |
        grep -E '^[A-Za-z0-9._-]+==[^ ]+$' | LC_ALL=C sort -f
} >"$scratch/constraints.txt"
mv "$scratch/constraints.txt" constraints.txt
echo "constraints.txt: $(grep -c '==' constraints.txt) packages"
