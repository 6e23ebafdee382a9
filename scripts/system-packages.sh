#!/usr/bin/env bash
# The programs this project and its tests need beside Python, by Debian package. Installs what is missing when it may
# (root, apt-get); else says what to install. PostgreSQL is not among them: it comes as a Python package.
set -euo pipefail

missing=()
PATH=$PATH:/usr/sbin  # where Dovecot is, also for those who are not root
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need git git
need make make
need tar tar
need openssl openssl
need dovecot dovecot-core
need /usr/lib/dovecot/imap dovecot-imapd
need /usr/lib/dovecot/lmtp dovecot-lmtpd
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
