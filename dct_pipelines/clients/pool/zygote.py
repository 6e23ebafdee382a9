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
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dct_pipelines.clients.pool.door import Door
from dct_pipelines.clients.pool.launch import encode, encode_launch
from dct_pipelines.clients.pool.lines import Line, Lines
from dct_pipelines.clients.pool.marks import forget
from dct_pipelines.clients.pool.nursery import Nursery
from dct_pipelines.clients.pool.orphans import Orphans
from dct_pipelines.clients.pool.pace import busy_seconds
from dct_pipelines.clients.pool.reception import Reception
from dct_pipelines.clients.pool.roster import Member, Roster, Size
from dct_pipelines.clients.pool.signals import Signals, send_signal
from dct_pipelines.clients.pool.worker import BEGUN, DONE, ERROR, READY, Work

TURN_SECONDS = 0.25
"""So late may the loop see that a worker is held up, overdue or stubborn; everything else wakes it."""
GRACE_SECONDS = 15.0
"""Who was asked to stop and has not by then is killed."""
END_SECONDS = 7.0
"""After SIGTERM, runs get so long to finish by themselves before they are interrupted."""
END_GRACE_SECONDS = 3.5
"""And then so long until they are killed; together less than whoever sent it waits (`Service.stop`)."""
LAST_ANSWER_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Zygote:
    """Runs until it is told to end and has nothing left. `prepare` is called in each worker after its fork.

    `facts` is what callers are told about this pool, e.g. which jobs it knows.
    """

    def __init__(
        self, door: Path, marks: Path, prepare: Callable[[], Work], facts: Mapping[str, Any], size: Size
    ) -> None:
        self._door_path, self._marks, self._prepare = door, marks, prepare
        self._roster = Roster(size)
        self._orphans = Orphans(marks)
        self._reception = Reception(
            self._roster,
            self._orphans,
            facts,
            lambda member: self._ask_to_stop(member, "it was told to stop"),
        )
        self._lines = Lines()
        self._workers: dict[int, Line] = {}
        self._complaints: dict[int, str] = {}

    def run(self) -> None:
        """Serve until the end. Raises OSError when the door cannot be opened."""
        if threading.active_count() != 1:
            raise RuntimeError(f"a zygote must have one thread; it has {threading.enumerate()}")
        gc.collect()
        gc.freeze()
        self._signals = Signals()
        self._lines.on(self._signals.bell, self._signals.hush)
        self._nursery = Nursery(self._marks, self._prepare, self._lines, self._signals)
        with contextlib.suppress(FileExistsError):
            self._marks.mkdir(mode=0o700, parents=True)
        self._door = Door(self._door_path)
        self._lines.on(self._door.socket, self._greet)
        while not self._is_over():
            self._turn()
        self._door.close()
        self._say_last_answers()

    def _is_over(self) -> bool:
        if self._signals.to_end_since is not None:
            return not self._roster.busy and not self._orphans.at_work
        return self._roster.is_closing and self._roster.is_empty

    def _turn(self) -> None:
        for line in self._lines.heard(TURN_SECONDS):
            self._hear(line)
        self._roster.is_closing = self._signals.is_to_drain
        self._reap()
        self._urge()
        if self._signals.to_end_since is None:
            for member, launch in self._roster.assign(time.monotonic()):
                self._lines.say(self._workers[member.pid], encode_launch(launch))
            self._recruit()
        self._let_go()

    def _recruit(self) -> None:
        self._roster.look_at_pace(time.monotonic(), busy_seconds)
        shared, alone = self._roster.missing(time.monotonic())
        for number in range(shared + alone):
            try:
                line = self._nursery.fork()
            except OSError as error:
                why = f"no worker can be forked: {error}"
                _log.warning("%s", why)
                self._roster.failed(why, time.monotonic())
                return
            assert line.pid is not None  # noqa: S101 (a worker is behind it)
            self._workers[line.pid] = line
            self._roster.forked(line.pid, time.monotonic(), alone=number >= shared)

    def _let_go(self) -> None:
        """Hang up on who has nothing to do any more, who ends by that."""
        now = time.monotonic()
        for member in self._roster.spare(now):
            self._roster.retire(member, now)
        for member in self._roster.members.values():
            if member.is_retired and member.launch is None:
                self._lines.hang_up(self._workers[member.pid])

    def _greet(self) -> None:
        try:
            if (caller := self._door.let_in()) is not None:
                self._lines.add(Line(caller))
        except OSError as error:
            _log.warning("a caller cannot be let in: %s", error)
            self._lines.make_room()

    def _hear(self, line: Line) -> None:
        texts = line.receive()
        if texts is None:
            self._lines.hang_up(line)
            if line.pid is not None:
                self._roster.hung_up(line.pid, time.monotonic())
            return
        for text in texts:
            if line.pid is None:
                self._lines.say(line, encode(self._reception.answer(text)))
            elif line.pid in self._roster.members:
                self._listen(line.pid, text)

    def _listen(self, pid: int, text: bytes) -> None:
        try:
            self._note(pid, json.loads(text))
        except (KeyError, TypeError, ValueError):
            # What runs in a worker can write to any of its descriptors.
            _log.warning("worker %d says what cannot be understood", pid)

    def _note(self, pid: int, message: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if READY in message:
            self._roster.ready(pid, now)
        elif BEGUN in message:
            if self._roster.began(pid, message[BEGUN]) is not None:
                send_signal(pid, signal.SIGINT)
        elif DONE in message:
            self._roster.done(pid, message[DONE], message["bytes"], now)
        elif ERROR in message:
            self._complaints[pid] = message[ERROR]

    def _ask_to_stop(self, member: Member, because: str) -> None:
        """Who has not begun yet would not hear it; it is interrupted when it says that it begins."""
        if member.asked_at is None:
            member.asked_at, member.because = time.monotonic(), because
            if member.has_begun:
                send_signal(member.pid, signal.SIGINT)

    def _urge(self) -> None:
        now = time.monotonic()
        for member in list(self._roster.overdue(now)):
            limit = member.launch.limit_seconds if member.launch else None
            self._ask_to_stop(member, f"it ran longer than its limit of {limit:g} s")
        ends_since = self._signals.to_end_since
        is_late = ends_since is not None and now - ends_since > END_SECONDS
        if is_late:
            for member in self._roster.members.values():
                if member.launch is not None:
                    self._ask_to_stop(member, "the worker pool was stopped")
        grace = GRACE_SECONDS if ends_since is None else END_GRACE_SECONDS
        for member in self._roster.stubborn(now, grace):
            why = f"{member.because or 'it was let go'} and did not stop"
            member.because = why if member.is_ready else "it did not become ready"
            member.is_killed = True
            send_signal(member.pid, signal.SIGKILL)
        self._orphans.urge(self._roster.members, now, grace, to_end=is_late)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            line = self._workers.pop(pid, None)
            if line is not None and line.is_open:
                # What it said last, it said before it ended.
                self._hear(line)
            self._lines.hang_up(line)
            self._bury(pid, _how(status))

    def _bury(self, pid: int, how: str) -> None:
        complaint = self._complaints.pop(pid, "")
        if (had := self._roster.members.get(pid)) is not None and had.launch is not None:
            # What an action says of itself is in the log only; this goes into an execution's row.
            complaint = complaint.partition(":")[0]
        how = f"{how} ({complaint})" if complaint else how
        member = self._roster.died(pid, how, time.monotonic())
        forget(self._marks, pid)
        if member is not None and not (member.is_retired and member.launch is None):
            _log.warning("worker %d: %s", pid, how)

    def _say_last_answers(self) -> None:
        until = time.monotonic() + LAST_ANSWER_SECONDS
        while self._lines.has_unsent_answers and time.monotonic() < until:
            for line in self._lines.heard(TURN_SECONDS):
                line.receive()


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"its process was ended by signal {-code}" if code < 0 else f"its process ended with code {code}"
