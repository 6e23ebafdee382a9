"""Stands for Dagster's code server: `python -m tests.support.toy_leader` has one child that does its work.

SIGHUP replaces the child, as a reload of definitions does; SIGUSR2 kills it and starts none.
"""

from __future__ import annotations

import signal
import subprocess
import sys

WORKER = "toy-leader-worker"


def _child() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", WORKER])


def main() -> None:
    wanted = [signal.SIGHUP, signal.SIGUSR2, signal.SIGTERM]
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    child = _child()
    while (told := signal.sigwait(wanted)) is not signal.SIGTERM:
        older = child
        if told is signal.SIGHUP:
            child = _child()
        older.kill()
        older.wait()
    child.kill()
    child.wait()


if __name__ == "__main__":
    main()
