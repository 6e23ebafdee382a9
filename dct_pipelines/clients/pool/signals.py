"""What a zygote is told by signals, and tells workers.

Handlers note what comes and wake the loop, which acts at a point of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time


class Signals:
    """Heard from the beginning. SIGTERM: end within seconds; SIGUSR1: finish what is there; SIGCHLD wakes."""

    def __init__(self) -> None:
        self.is_to_drain = False
        self.to_end_since: float | None = None
        """By the monotonic clock; who is told twice was told the first time."""
        self.bell, self._ringer = socket.socketpair()
        for one in (self.bell, self._ringer):
            one.setblocking(False)
        signal.set_wakeup_fd(self._ringer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGTERM, self._note_end)
        signal.signal(signal.SIGUSR1, self._note_drain)

    def hush(self) -> None:
        """Empty the bell after it has woken the loop."""
        with contextlib.suppress(BlockingIOError):
            self.bell.recv(4096)

    def leave_to_parent(self) -> None:
        """In a forked child: hear nothing of this any more."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        for one in (self.bell, self._ringer):
            one.close()

    def _note_drain(self, *_: object) -> None:
        self.is_to_drain = True

    def _note_end(self, *_: object) -> None:
        self.is_to_drain = True
        if self.to_end_since is None:
            self.to_end_since = time.monotonic()


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a worker, if it is still there; its process id may be that of somebody else by now."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
