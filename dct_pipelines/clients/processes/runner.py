"""`Processes`: the port to child processes. Argument lists only; one way to start, to watch and to end."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dct_pipelines.clients.processes.isolation import UNPRIVILEGED_USER, Isolation, choose
from dct_pipelines.clients.processes.output import Captured, Lines
from dct_pipelines.domain.errors import IsolationUnavailable, ProcessFailed
from dct_pipelines.domain.process import (
    Command,
    IsolationLevel,
    IsolationMode,
    IsolationStatus,
    ProcessResult,
    Stream,
)

if TYPE_CHECKING:
    from dct_pipelines.clients.processes.children import Child

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ")
_NO_HOME = "/nonexistent"
_LOOK_EVERY_SECONDS = 0.25
_CHUNK_BYTES = 65536
# After the command has ended or was killed: how long a pipe may be held open by something that got away.
_DRAIN_SECONDS = 2.0


class Processes:
    """The real `ProcessPort`.

    `home` is our own state directory: only below it are files handed to the user that isolated commands run
    as. `hidden` are paths that no command may reach (`.env`, the database's directory and socket, caches).
    `bwrap` is the path of that tool (None: looked up; "": not used).
    """

    def __init__(
        self,
        home: Path,
        mode: IsolationMode = IsolationMode.AUTO,
        *,
        hidden: Sequence[Path] = (),
        bwrap: str | None = None,
        user: str = UNPRIVILEGED_USER,
    ) -> None:
        self._home = home
        self._mode = mode
        self._hidden = tuple(hidden)
        self._bwrap = bwrap
        self._user = user

    def isolation_status(self) -> IsolationStatus:
        """The level in force and why; found once, by trying."""
        return self._isolation.status

    def run(self, command: Command) -> ProcessResult:
        """Run to the end, however it ends."""
        started = time.monotonic()
        child = self._start(command)
        watch = _Watch(child, command, started + command.timeout_seconds)
        try:
            watch.until_the_end()
        finally:
            child.kill()
            for pipe in (child.process.stdin, child.process.stdout, child.process.stderr):
                _close(pipe)
            exit_code, over_limit = child.result()
        return ProcessResult(
            exit_code=exit_code,
            stdout=watch.out.value(),
            stderr=watch.err.value(),
            stdout_bytes=watch.out.total_bytes,
            stderr_bytes=watch.err.total_bytes,
            stdout_truncated=watch.out.truncated,
            stderr_truncated=watch.err.truncated,
            duration_seconds=time.monotonic() - started,
            timed_out=watch.timed_out,
            cancelled=watch.cancelled,
            killed=watch.timed_out or watch.cancelled or over_limit,
        )

    @cached_property
    def _isolation(self) -> Isolation:
        return choose(self._mode, self._home, self._hidden, self._bwrap, self._user)

    def _start(self, command: Command) -> Child:
        from dct_pipelines.clients.processes.children import DirectChild, SupervisedChild

        cwd = (command.cwd or Path("/")).resolve()
        if not cwd.is_dir():
            raise ProcessFailed(f"the directory {cwd} of the command {command.argv[0]!r} does not exist")
        env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        env |= {"HOME": _NO_HOME, **command.env}
        if command.trusted:
            _check_program(command.argv[0], cwd, env.get("PATH", os.defpath))
            return DirectChild(command.argv, cwd, env)
        if self._mode is IsolationMode.REQUIRED and self._isolation.status.level is IsolationLevel.NONE:
            raise IsolationUnavailable(
                f"DCT_ISOLATION=required, but {self._isolation.status.explanation}; install bubblewrap"
            )
        env["PATH"] = self._isolation.open_path(env.get("PATH", os.defpath))
        program = _check_program(command.argv[0], cwd, env["PATH"])
        if barrier := self._isolation.barrier(cwd.parent):
            who = self._isolation.status.explanation
            raise ProcessFailed(f"no command can run in {cwd}: others may not enter {barrier}, and {who}")
        writable = [cwd] if command.cwd else []
        writable += [path.resolve() for path in command.writable]
        barrier = self._isolation.barrier(program)
        if barrier and not any(directory in program.parents for directory in writable):
            who = self._isolation.status.explanation
            raise ProcessFailed(f"{program} cannot be run: others may not enter {barrier}, and {who}")
        return SupervisedChild(self._isolation, command, cwd, env, writable)


def _check_program(program: str, cwd: Path, path: str) -> Path:
    found = shutil.which(str(cwd / program) if "/" in program else program, path=path)
    if found is None:
        raise ProcessFailed(
            f"there is no program {program!r} that could be run; install it or correct the command"
        )
    return Path(found).resolve()


class _Watch:
    """Moves bytes between a child and us until it ends, its time is over, or somebody cancels."""

    def __init__(self, child: Child, command: Command, deadline: float) -> None:
        self.out = Captured(command.output_limit_bytes)
        self.err = Captured(command.output_limit_bytes)
        self.timed_out = False
        self.cancelled = False
        self._child = child
        self._command = command
        self._deadline = deadline
        self._look_at = 0.0
        self._over_at: float | None = None
        self._to_write = memoryview(command.stdin)
        self._lines = {
            stream: Lines(stream, command.on_line, command.output_limit_bytes)
            for stream in Stream
            if command.on_line
        }

    def until_the_end(self) -> None:
        """Returns once it is over and its streams are closed, or something that got away held them open."""
        process = self._child.process
        with selectors.DefaultSelector() as selector:
            for pipe, name in ((process.stdout, Stream.STDOUT), (process.stderr, Stream.STDERR)):
                if pipe:
                    selector.register(pipe, selectors.EVENT_READ, name)
            if process.stdin:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE)
            while selector.get_map() and not self._given_up():
                for key, _ in selector.select(self._patience()):
                    self._move(selector, key)
                self._look()
        while not self._given_up():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self._patience())
                break
            self._look()
        for lines in self._lines.values():
            lines.close()

    def _patience(self) -> float:
        return max(0.001, min(_LOOK_EVERY_SECONDS, self._look_at - time.monotonic()))

    def _given_up(self) -> bool:
        return self._over_at is not None and time.monotonic() > self._over_at + _DRAIN_SECONDS

    def _look(self) -> None:
        """A few times a second: is it over, is its time over, was it cancelled?"""
        now = time.monotonic()
        if self._over_at is not None or now < self._look_at:
            return
        self._look_at = min(now + _LOOK_EVERY_SECONDS, self._deadline)
        if self._child.process.poll() is None:
            self.timed_out = now >= self._deadline
            self.cancelled = not self.timed_out and bool(
                self._command.cancelled and self._command.cancelled()
            )
            if not (self.timed_out or self.cancelled):
                return
            self._child.kill()
        self._over_at = now

    def _move(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        if key.data is None:
            try:
                self._to_write = self._to_write[os.write(key.fd, self._to_write[:_CHUNK_BYTES]) :]
            except BrokenPipeError:
                self._to_write = self._to_write[:0]
            if not self._to_write:
                selector.unregister(key.fileobj)
                _close(self._child.process.stdin)
            return
        chunk = os.read(key.fd, _CHUNK_BYTES)
        if not chunk:
            selector.unregister(key.fileobj)
            return
        (self.out if key.data is Stream.STDOUT else self.err).add(chunk)
        if self._lines:
            self._lines[key.data].add(chunk)


def _close(pipe: IO[bytes] | None) -> None:
    if pipe:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            pipe.close()
