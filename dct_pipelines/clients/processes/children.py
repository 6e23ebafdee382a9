"""The two ways to hold a child: trusted tools directly, everybody else's commands through the supervisor."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from dct_pipelines.clients.files import room_for
from dct_pipelines.clients.processes import supervisor
from dct_pipelines.clients.processes.isolation import Isolation
from dct_pipelines.domain.errors import ProcessFailed
from dct_pipelines.domain.process import Command

_WAIT_FOR_THE_DEAD_SECONDS = 15.0


class Child(Protocol):
    """A running command."""

    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it and everything that it started; harmless when it is over."""
        ...

    def result(self) -> tuple[int, bool]:
        """Its exit code, and whether it was ended for going over a limit; waits for the end."""
        ...


class DirectChild:
    """A trusted tool, started without a process in between: a call of git costs a millisecond."""

    def __init__(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        self.process = _popen([*_dies_with_us(), *argv], cwd, env)

    def kill(self) -> None:
        """Kill its process group and what left the group."""
        if self.process.poll() is not None:
            return
        below = supervisor.descendants(self.process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        supervisor.kill_all(below)

    def result(self) -> tuple[int, bool]:
        """Exit code; there are no limits on trusted tools."""
        try:
            return self.process.wait(_WAIT_FOR_THE_DEAD_SECONDS), False
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL, True


class SupervisedChild:
    """Anybody else's command below a supervisor, isolated as far as this machine allows."""

    def __init__(
        self, isolation: Isolation, command: Command, cwd: Path, env: Mapping[str, str], writable: list[Path]
    ) -> None:
        with room_for("a command's own directories"):
            private = Path(tempfile.mkdtemp(prefix="dct-command-")).resolve()
            home, temporary = private / "home", private / "tmp"
            for directory in (home, temporary):
                directory.mkdir()
        private.chmod(0o711)
        isolation.hand_over(writable)
        person = isolation.person
        if person:
            for directory in (home, temporary):
                os.chown(directory, person.uid, person.gid)
        private_env = {"HOME": str(home), "TMPDIR": str(temporary)}
        plan = {
            "argv": isolation.wrap(command.argv, cwd, [*writable, home], temporary),
            "cwd": str(cwd),
            "env": {**env, **{name: at for name, at in private_env.items() if name not in command.env}},
            "uid": person.uid if person else None,
            "gid": person.gid if person else None,
            "private": str(private),
            "cpu_seconds": command.limits.cpu_seconds,
            "memory_bytes": command.limits.memory_bytes,
            "processes": command.limits.processes,
        }
        self._control, theirs = socket.socketpair()
        self._program = command.argv[0]
        self._done: tuple[int, bool] | None = None
        try:
            with theirs:
                fd = theirs.fileno()
                argv = [sys.executable, "-I", "-S", supervisor.__file__, str(fd)]
                self.process = _popen(argv, cwd, env, keep=(fd,))
            self._control.sendall(json.dumps(plan).encode() + b"\n")
        except BaseException:
            self._control.close()
            shutil.rmtree(private, ignore_errors=True)
            raise

    def kill(self) -> None:
        """Tell the supervisor to end everything below it, and itself."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)

    def result(self) -> tuple[int, bool]:
        """What the supervisor reports; `ProcessFailed` when the command could not be started."""
        if self._done is None:
            self._done = self._read_result()
        return self._done

    def _read_result(self) -> tuple[int, bool]:
        self._control.settimeout(_WAIT_FOR_THE_DEAD_SECONDS)
        with self._control, contextlib.suppress(OSError):
            with self._control.makefile("rb") as lines:
                line = lines.readline()
            self.process.wait(_WAIT_FOR_THE_DEAD_SECONDS)
            if line:
                told = json.loads(line)
                if "error" in told:
                    raise ProcessFailed(
                        f"the command {self._program!r} could not be started: {told['error']}"
                    )
                return told["exit"], "over" in told
        self.process.kill()
        self.process.wait()
        return -signal.SIGKILL, True


@cache
def _dies_with_us() -> tuple[str, ...]:
    """PR_SET_PDEATHSIG by a launcher of util-linux: it costs 1 ms, and no code of ours runs after a fork."""
    tool = shutil.which("setpriv") if sys.platform == "linux" else None
    return (tool, "--pdeathsig", "KILL", "--") if tool else ()


def _popen(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], keep: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=keep,
            bufsize=0,
        )
    except OSError as error:
        raise ProcessFailed(f"the command {argv[0]!r} could not be started: {error}") from error
