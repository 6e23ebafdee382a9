"""The zygote: forks workers, hands them launches, knows how each ended, and ends what does not end by itself.

One thread, one loop, no database, no channel of gRPC: nothing that a fork could tear in two. It is asked
through a private Unix socket, a line of JSON each way (`caller`). SIGTERM ends it within seconds; SIGUSR1
lets it finish what it has, beside its successor, and then ends it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dct_pipelines.clients.pool.marks import Orphan, orphans
from dct_pipelines.clients.pool.roster import Launch, LaunchState, Member, Roster, Size
from dct_pipelines.clients.pool.worker import Work, encode, encode_launch, serve

TURN_SECONDS = 0.25
"""So late may the loop see that a worker is held up, overdue or stubborn; everything else wakes it."""
GRACE_SECONDS = 15.0
"""Who was asked to stop and has not by then is killed."""
END_SECONDS = 8.0
"""After SIGTERM, runs get so long to finish by themselves before they are interrupted."""
SAY_SECONDS = 2.0
LONGEST_LINE_BYTES = 16 * 1024 * 1024
BACKLOG = 128

_log = logging.getLogger(__name__)


@dataclass
class _Line:
    """A connection with what has been read of its next line."""

    socket: socket.socket
    pid: int | None = None
    """The worker behind it; None for a caller."""
    read: bytearray = field(default_factory=bytearray)


class Zygote:
    """Runs until it is told to end and has nothing left. `prepare` is called in each worker after its fork.

    `facts` is what callers are told about this pool, e.g. which jobs it knows.
    """

    def __init__(
        self, door: Path, marks: Path, prepare: Callable[[], Work], facts: Mapping[str, Any], size: Size
    ) -> None:
        self._door, self._marks, self._prepare, self._facts = door, marks, prepare, facts
        self._roster = Roster(size)
        self._lines: dict[int, _Line] = {}
        self._selector = selectors.DefaultSelector()
        self._is_draining = False
        self._end_at: float | None = None

    def run(self) -> None:
        """Serve until the end. Raises OSError when the door cannot be opened."""
        if threading.active_count() != 1:
            raise RuntimeError(f"a zygote must have one thread; it has {threading.enumerate()}")
        gc.collect()
        gc.freeze()
        self._marks.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open()
        while not self._is_over():
            self._turn()
        self._door.unlink(missing_ok=True)

    def _open(self) -> None:
        self._door.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._door))
        self._door.chmod(0o600)
        self._listener.listen(BACKLOG)
        self._listener.setblocking(False)
        self._wake, wake = socket.socketpair()
        self._wake.setblocking(False)
        wake.setblocking(False)
        self._waker = wake
        signal.set_wakeup_fd(wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        signal.signal(signal.SIGUSR1, lambda *_: self._drain())
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def _drain(self) -> None:
        self._is_draining = True

    def _end(self) -> None:
        self._drain()
        self._end_at = time.monotonic() + END_SECONDS

    def _is_over(self) -> bool:
        if self._end_at is not None and not any(one.launch for one in self._roster.members.values()):
            return True
        return self._is_draining and self._roster.is_empty

    def _turn(self) -> None:
        for key, _ in self._selector.select(TURN_SECONDS):
            if key.fileobj is self._wake:
                with contextlib.suppress(BlockingIOError):
                    self._wake.recv(4096)
            elif key.fileobj is self._listener:
                self._greet()
            else:
                self._hear(key.data)
        self._reap()
        self._urge()
        self._staff()
        if self._end_at is None:
            for member, launch in self._roster.assign(time.monotonic()):
                self._send(member, launch)

    def _staff(self) -> None:
        """Fork who is missing, let go who is not needed."""
        now = time.monotonic()
        if self._end_at is None:
            for _ in range(self._roster.missing(now)):
                self._fork()
            while (launch := self._roster.take_alone()) is not None:
                member = self._fork(alone=True)
                self._send(self._roster.begin(member, launch, now), launch)
        for member in self._roster.spare(now):
            member.is_retired = True
        for member in self._roster.members.values():
            if member.is_retired and member.launch is None:
                self._hang_up(self._lines.get(member.pid))

    def _fork(self, *, alone: bool = False) -> Member:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            self._be_worker(ours, theirs)
        theirs.close()
        ours.setblocking(False)
        self._lines[pid] = line = _Line(ours, pid)
        self._selector.register(ours, selectors.EVENT_READ, line)
        self._roster.members[pid] = member = Member(pid, alone=alone)
        return member

    def _be_worker(self, ours: socket.socket, theirs: socket.socket) -> None:
        """What the forked child does; it never returns into the loop."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGUSR1):
                signal.signal(number, signal.SIG_DFL)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            self._selector.close()
            for one in (ours, self._listener, self._wake, self._waker):
                one.close()
            for line in self._lines.values():
                line.socket.close()
            serve(theirs, self._marks, self._prepare)
            code = 0
        except BaseException:  # noqa: BLE001 (it says what happened, and ends)
            _log.exception("worker %d ends", os.getpid())
        finally:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _send(self, member: Member, launch: Launch) -> None:
        _say(self._lines[member.pid].socket, encode_launch(launch))

    def _greet(self) -> None:
        with contextlib.suppress(OSError):
            caller, _ = self._listener.accept()
            caller.setblocking(False)
            self._selector.register(caller, selectors.EVENT_READ, _Line(caller))

    def _hear(self, line: _Line) -> None:
        try:
            data = line.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        line.read += data
        if not data or len(line.read) > LONGEST_LINE_BYTES:
            self._hang_up(line)
            if line.pid in self._roster.members:
                self._roster.members[line.pid].is_retired = True
            return
        *lines, rest = line.read.split(b"\n")
        line.read = bytearray(rest)
        for text in lines:
            message = json.loads(text)
            if line.pid is None:
                self._answer(line, message)
            elif line.pid in self._roster.members:
                self._note(line.pid, message)

    def _note(self, pid: int, message: Mapping[str, Any]) -> None:
        if "done" in message:
            self._roster.done(pid, int(message["bytes"]))
        else:
            self._roster.members[pid].is_ready = True

    def _answer(self, line: _Line, message: Mapping[str, Any]) -> None:
        asked = {"launch": self._launch, "stop": self._stop, "health": self._health, "hello": self._hello}
        try:
            answer = asked[message["ask"]](message)
        except (KeyError, TypeError, ValueError) as error:
            answer = {"error": f"that cannot be understood: {error!r}"}
        _say(line.socket, encode(answer))

    def _launch(self, message: Mapping[str, Any]) -> dict[str, Any]:
        if self._is_draining:
            return {"draining": True}
        new = [self._roster.accept(Launch(**one)) for one in message["launches"]]
        return {"accepted": sum(new)}

    def _stop(self, message: Mapping[str, Any]) -> dict[str, Any]:
        key = message["key"]
        if self._roster.withdraw(key):
            return {"was": LaunchState.QUEUED}
        if (member := self._roster.member_of(key)) is not None:
            self._ask_to_stop(member, "it was told to stop")
            return {"was": LaunchState.RUNNING}
        for orphan in self._orphans():
            if orphan.key == key:
                _signal(orphan.pid, signal.SIGINT)
                return {"was": LaunchState.RUNNING}
        return {"was": self._roster.state(key)}

    def _orphans(self) -> list[Orphan]:
        """Workers of other zygotes, which may be gone."""
        return list(orphans(self._marks, frozenset(self._roster.members)))

    def _health(self, message: Mapping[str, Any]) -> dict[str, Any]:
        states = {key: self._roster.state(key) for key in message["keys"]}
        if LaunchState.UNKNOWN in states.values():
            states |= {one.key: LaunchState.RUNNING for one in self._orphans() if one.key in states}
        ended = {key: self._roster.ended[key] for key in states if key in self._roster.ended}
        return {"states": states, "ended": ended}

    def _hello(self, _message: Mapping[str, Any]) -> dict[str, Any]:
        members = self._roster.members.values()
        counts = {"workers": len(members), "busy": sum(one.launch is not None for one in members)}
        told = {"pid": os.getpid(), "queued": len(self._roster.queue), "draining": self._is_draining}
        return {**self._facts, **counts, **told}

    def _ask_to_stop(self, member: Member, because: str) -> None:
        if member.asked_at is None:
            member.asked_at, member.because = time.monotonic(), because
        _signal(member.pid, signal.SIGINT)

    def _urge(self) -> None:
        now = time.monotonic()
        for member in list(self._roster.overdue(now)):
            limit = member.launch.limit_seconds if member.launch else None
            self._ask_to_stop(member, f"it ran longer than its limit of {limit:.0f} s")
        if self._end_at is not None and now > self._end_at:
            for member in self._roster.members.values():
                if member.launch is not None and member.asked_at is None:
                    self._ask_to_stop(member, "the worker pool was stopped")
        grace = GRACE_SECONDS if self._end_at is None else END_SECONDS / 2
        for member in self._roster.stubborn(now, grace):
            member.because = f"{member.because} and did not stop"
            member.asked_at = now
            _signal(member.pid, signal.SIGKILL)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if (line := self._lines.get(pid)) is not None:
                # What it said last, it said before it ended.
                self._hear(line)
            member = self._roster.died(pid, _how(status))
            self._hang_up(self._lines.pop(pid, None))
            (self._marks / str(pid)).unlink(missing_ok=True)
            if member is not None and not member.is_retired:
                _log.warning("worker %d %s", pid, _how(status))

    def _hang_up(self, line: _Line | None) -> None:
        if line is not None and line.socket.fileno() >= 0:
            self._selector.unregister(line.socket)
            line.socket.close()


def _say(line: socket.socket, data: bytes) -> None:
    """Send all of it. Who does not read it within seconds does not get it: the loop must go on."""
    with contextlib.suppress(OSError):
        line.settimeout(SAY_SECONDS)
        line.sendall(data)
        line.setblocking(False)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"its process was ended by signal {-code}" if code < 0 else f"its process ended with code {code}"


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
