"""Kills one part at a time, with SIGKILL, at a named moment if it comes, else at a random one."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dct_pipelines.cli.supervisor import Stack
from dct_pipelines.store.database import Database
from dct_pipelines.store.embedded import EmbeddedPostgres

LOOK_EVERY_SECONDS = 0.02
RECOVERY_SECONDS = 120.0
RANDOM = "random"
RANDOM_SHARE = 0.2
_STARTED = "SELECT 1 FROM dct.action_results WHERE state = 'started' AND action_type = "
MOMENTS: Mapping[str, str] = {
    "an execution waits": "SELECT 1 FROM dct.trigger_executions WHERE status = 'waiting'",
    "an attempt is dispatched": "SELECT 1 FROM dct.execution_attempts WHERE state = 'dispatched'",
    "an attempt has just begun": (
        "SELECT 1 FROM dct.execution_attempts a WHERE state = 'running' AND NOT EXISTS "
        "(SELECT 1 FROM dct.action_results r WHERE r.execution_id = a.execution_id)"
    ),
    "a merge is under way": _STARTED + "'merge_branches'",
    "a deployment is under way": _STARTED + "'deploy_environment'",
    "a message is under way": _STARTED + "'notify_users'",
    "an action is done and the next has not begun": (
        "SELECT 1 FROM dct.execution_attempts a WHERE state = 'running' AND EXISTS "
        "(SELECT 1 FROM dct.action_results r WHERE r.execution_id = a.execution_id) AND NOT EXISTS "
        "(SELECT 1 FROM dct.action_results r WHERE r.execution_id = a.execution_id AND state = 'started')"
    ),
}
WORKERS = (
    "SELECT split_part(process, ':', 2)::int FROM dct.execution_attempts "
    "WHERE state = 'running' AND process IS NOT NULL AND heartbeat_at > now() - interval '10 s'"
)


@dataclass
class Killer:
    """Kills parts of a stack. `killed` says what, and at which moment."""

    stack: Stack
    database: Database
    server: EmbeddedPostgres
    chance: random.Random
    killed: list[tuple[str, str]] = field(default_factory=list)

    def kill_one(self, patience_seconds: float) -> str:
        """Wait for a moment, kill a part, and wait until that part is there again."""
        parts: dict[str, Callable[[], int | None]] = {
            "daemon": lambda: self.stack.pids.get("daemon"),
            "code server": self._code_server,
            "run worker": self._worker,
            "database": self.server.pid,
            "zygote": lambda: self.stack.pids.get("warm pool"),
        }
        part = list(parts)[len(self.killed) % len(parts)]
        moment = self._await_moment(part, patience_seconds)
        pid = parts[part]()
        if pid is None:
            part, moment = "daemon", RANDOM
            pid = parts[part]()
        if pid is None or not _kill(pid):
            return "nothing"
        self.killed.append((part, moment))
        self._recover(part, pid, parts[part])
        return f"{part} ({moment})"

    def _await_moment(self, part: str, patience_seconds: float) -> str:
        """The moment at which this part was killed least often; when it does not come, another that does."""
        if self.chance.random() < RANDOM_SHARE:
            time.sleep(self.chance.random() * 3)
            return RANDOM
        used = Counter(moment for killed, moment in self.killed if killed == part)
        wanted = sorted(MOMENTS, key=lambda moment: (used[moment], self.chance.random()))
        begun = time.monotonic()
        while (waited := time.monotonic() - begun) < patience_seconds:
            looked_for = wanted[:1] if waited < patience_seconds / 2 else wanted
            with suppress(DBAPIError), self.database.connect() as connection:
                for moment in looked_for:
                    if _holds(connection, MOMENTS[moment]):
                        return moment
            time.sleep(LOOK_EVERY_SECONDS)
        return RANDOM

    def _worker(self) -> int | None:
        """A run worker, waited for a little: it is the process that works on an attempt now."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with suppress(DBAPIError), self.database.connect() as connection:
                pids = [pid for pid in connection.scalars(text(WORKERS)) if psutil.pid_exists(pid)]
                if pids:
                    return self.chance.choice(pids)
            time.sleep(LOOK_EVERY_SECONDS)
        return None

    def _code_server(self) -> int | None:
        """The process that keeps its door, or the server behind it that has the definitions."""
        return self.chance.choice([self.stack.pids.get("code server"), self._behind()])

    def _behind(self) -> int | None:
        with suppress(psutil.Error):
            server = psutil.Process(self.stack.pids["code server"])
            return next((child.pid for child in server.children() if "grpc" in child.cmdline()), None)
        return None

    def _recover(self, part: str, pid: int, find: Callable[[], int | None]) -> None:
        """Wait until the part runs again under another process id; a run worker has no successor."""
        until = time.monotonic() + RECOVERY_SECONDS
        find = self._behind if part == "code server" else find
        while part != "run worker" and time.monotonic() < until:
            now = find()
            if now is not None and now != pid and psutil.pid_exists(now):
                return
            time.sleep(0.1)
        if part != "run worker":
            raise SystemExit(f"the {part} did not come back within {RECOVERY_SECONDS:.0f} s")


def _holds(connection: Connection, query: str) -> bool:
    found = connection.execute(text(f"{query} LIMIT 1")).first() is not None
    connection.rollback()
    return found


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
