"""One long-lived process of ours: started in a session of its own, its output in a file, certainly ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dct_pipelines.clients.files import private_directory
from dct_pipelines.clients.processes.supervisor import PR_SET_PDEATHSIG, prctl

LARGEST_LOG_BYTES = 10 * 1024 * 1024
LAST_WORDS_BYTES = 2000
LOOK_EVERY_SECONDS = 0.1
STOP_SECONDS = 15.0
KILL_SECONDS = 5.0


@dataclass
class Service:
    """`module` is run by our own interpreter; `variables` are added to the environment it inherits.

    `port`, when given, is the loopback port that the process opens once it is ready.
    """

    name: str
    module: str
    arguments: Sequence[str]
    log: Path
    variables: dict[str, str] = field(default_factory=dict)
    port: int | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it lives and its port, if it has one, is open."""
        return self.is_running and (self.port is None or is_open(self.port))

    def start(self) -> None:
        """Start it. When the thread that calls this dies, however it dies, the process is told to end."""
        private_directory(self.log.parent)
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".old.log"))
        settings = [f"{name}={value}" for name, value in self.variables.items()]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                ["env", *settings, sys.executable, "-m", self.module, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 (one system call; takes no lock)
            )

    def wait_until_ready(self, timeout_seconds: float) -> bool:
        """Whether it became ready in time; False at once when it ended."""
        deadline = time.monotonic() + timeout_seconds
        while self.is_running and time.monotonic() < deadline:
            if self.is_ready:
                return True
            time.sleep(LOOK_EVERY_SECONDS)
        return False

    def ask_to_stop(self) -> None:
        """SIGTERM to the process itself; it ends its own children."""
        if self.process is not None and self.is_running:
            self.process.send_signal(signal.SIGTERM)

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> None:
        """End it; what of its session is left after `timeout_seconds` is killed."""
        if self.process is None:
            return
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout_seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(KILL_SECONDS)

    def last_words(self) -> str:
        """The end of its log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - LAST_WORDS_BYTES))
                return file.read().decode("utf-8", "replace").strip()
        except OSError:
            return ""


def is_open(port: int) -> bool:
    """Whether something listens on that loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def free_port(wanted: int | None = None, tries: int = 50) -> int:
    """`wanted` or the next port after it that nobody has; any free one when nothing is wanted."""
    for port in range(wanted, wanted + tries) if wanted else (0,):
        with contextlib.suppress(OSError), socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind(("127.0.0.1", port))
            return int(candidate.getsockname()[1])
    raise OSError(f"no free port from {wanted} on")


def _end_with_parent() -> None:
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
