#!/usr/bin/env bash
# Creates the virtual environment named by $1 (unless it is there and works) and installs the project with
# its development tools into it, at the versions of constraints.txt, and the Slack emulator of the tests at those
# of its lock. Says what it does; the logs of pip and npm are kept.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=$1
log=$venv/setup.log

# Two targets started at once wait for each other.
if command -v flock >/dev/null; then
    exec 9<pyproject.toml
    flock 9
fi

# Merges are made without a work tree, by `git merge-tree --write-tree`.
merge_help=$(git merge-tree -h 2>&1 || true)
if [[ $merge_help != *--write-tree* ]]; then
    echo "git 2.38 or newer is needed; here is: $(git --version 2>&1 || true)" >&2
    exit 1
fi

works() { "$venv/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

if ! works; then
    python=$(scripts/find-python.sh)
    echo "Creating $venv with $("$python" --version 2>&1) ($python)"
    "$python" -m venv --clear "$venv"
fi

echo "Installing $(grep -c '==' constraints.txt) packages (first time: about a minute; log: $log)"
show_progress() {
    if [ -t 1 ]; then
        awk '/^ *(Collecting|Installing)/ { printf "\r\033[K%.100s", $0; fflush() } END { printf "\r\033[K" }'
    else
        awk '/^Collecting/ && ++n % 25 == 0 { printf "  %d resolved\n", n; fflush() } /^Installing coll/ { print "  installing"; fflush() }'
    fi
}
if ! "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
    --constraint constraints.txt --editable '.[dev]' 2>&1 | tee "$log" | show_progress; then
    echo "pip failed; the end of $log:" >&2
    tail -n 25 "$log" >&2
    exit 1
fi
scripts/install-emulate.sh "$venv"
echo "Ready: $venv"
