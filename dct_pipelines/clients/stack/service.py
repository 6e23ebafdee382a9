"""One long-lived process of ours: started in a session of its own, its output in a file, certainly ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from dct_pipelines.clients.files import private_directory
from dct_pipelines.clients.processes.supervisor import PR_SET_PDEATHSIG, prctl

LARGEST_LOG_BYTES = 10 * 1024 * 1024
LAST_WORDS_BYTES = 2000
LOOK_EVERY_SECONDS = 0.1
STOP_SECONDS = 15.0
KILL_SECONDS = 5.0
SOCKET_PATH_BYTES = 90
"""Kernels take 104 to 108 bytes."""
SHORT_PLACE = "/tmp"  # noqa: S108 (a directory of our own is made in it)
Door = int | Path


@dataclass
class Service:
    """`module` is run by our own interpreter; `variables` are added to the environment it inherits.

    `door`, when given, is the loopback port or the socket that the process opens once it is ready.
    `worker`, when given, stands in the command line of the child that does its work: Dagster's code server
    lives on, and answers nothing but errors, when the process behind it is gone.
    """

    name: str
    module: str
    arguments: Sequence[str]
    log: Path
    variables: dict[str, str] = field(default_factory=dict)
    door: Door | None = None
    worker: str | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Its process, also when that has ended; 0 before it was started."""
        return self.process.pid if self.process is not None else 0

    @property
    def is_ready(self) -> bool:
        """Whether it lives and its door, if it has one, is open."""
        return self.is_running and (self.door is None or is_open(self.door))

    @property
    def has_worker(self) -> bool:
        """Whether the child that does its work, if it needs one, lives."""
        return self.worker is None or self.process is None or self.worker_pid is not None

    @property
    def worker_pid(self) -> int | None:
        """The child that does its work, the newest while one takes over; None when there is none."""
        if self.worker is None or self.process is None:
            return None
        found = [pid for pid in _children(self.process.pid) if self.worker in _words(pid)]
        return max(found, key=_begun) if found else None

    def copy(self) -> Service:
        """The same process under another object."""
        return replace(self)

    def become(self, other: Service) -> None:
        """Be the other's process from now on, for whoever knows this object."""
        self.process, self.door, self.arguments = other.process, other.door, other.arguments

    def kill(self) -> None:
        """End the process at once, and only it: runs that it has started go on."""
        if self.process is not None:
            self.process.kill()

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

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, if it runs."""
        if self.process is not None and self.is_running:
            self.process.send_signal(number)

    def ask_to_stop(self) -> None:
        """SIGTERM to the process itself; it ends its own children."""
        self.signal(signal.SIGTERM)

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


def _children(pid: int) -> Iterator[int]:
    """Processes that a process has started. The kernel keeps them by thread; asking it for those of one
    process costs nothing, while looking for a parent reads every process of the machine.
    """
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                yield from map(int, (task / "children").read_bytes().split())


def _begun(pid: int) -> float:
    with contextlib.suppress(psutil.Error):
        return float(psutil.Process(pid).create_time())
    return 0.0


def _words(pid: int) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return list(psutil.Process(pid).cmdline())
    return []


def is_open(door: Door) -> bool:
    """Whether something listens there."""
    family = socket.AF_UNIX if isinstance(door, Path) else socket.AF_INET
    address = str(door) if isinstance(door, Path) else ("127.0.0.1", door)
    with contextlib.suppress(OSError), socket.socket(family) as caller:
        caller.settimeout(1)
        caller.connect(address)
        return True
    return False


@contextlib.contextmanager
def private_socket(home: Path, name: str) -> Iterator[Path]:
    """The path of a socket that only our own user can reach, below `home` unless that is too long a path.

    Who reaches a code server runs code as us. A port, also a loopback one, is open to every user of the
    machine, and so to the commands that we run as another user.
    """
    natural = home / "run"
    if len(os.fsencode(natural / name)) <= SOCKET_PATH_BYTES:
        yield private_directory(natural) / name
        return
    with tempfile.TemporaryDirectory(prefix="dct-", dir=SHORT_PLACE) as directory:
        yield Path(directory) / name


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
