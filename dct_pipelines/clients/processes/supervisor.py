"""Stands between us and a command, so that the command certainly ends when it should, or when we die.

Run as a program of its own (`python -I -S supervisor.py FD`), on the standard library only. It adopts every
orphan below it (PR_SET_CHILD_SUBREAPER, prctl(2)), so neither setsid nor a double fork escapes; a closed
control socket means that the parent wants an end or is dead, however it died.

Talk over the socket FD: one JSON line in (the plan), one JSON line out (the result).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_MOST_TASKS_OF_THE_USER = 4096
_TASKS_A_PROCESS = 16
_PRIORITY = -15
_END_WITHIN_SECONDS = 10.0
_PROC = Path("/proc")


def prctl(option: int, value: int) -> None:
    """prctl(2) where there is one; elsewhere the process group alone has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def descendants(root: int) -> list[int]:
    """Every living process below `root`, from /proc; empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def kill_all(pids: list[int], number: int = signal.SIGKILL) -> None:
    """Signal each; one that is gone or not ours any more is no error."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _reap() -> dict[int, int]:
    """Exit codes of everything below us that has ended since the last look."""
    ended: dict[int, int] = {}
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = os.waitstatus_to_exitcode(found[1])
    return ended


def _end_everything() -> dict[int, int]:
    """Stop, then kill, until nothing is left below us; freezing first keeps forks from outrunning us."""
    ended: dict[int, int] = {}
    deadline = time.monotonic() + _END_WITHIN_SECONDS
    while time.monotonic() < deadline:
        ended |= _reap()
        alive = descendants(os.getpid())
        if not alive:
            break
        kill_all(alive, signal.SIGSTOP)
        kill_all(alive)
        time.sleep(0.002)
    return ended


def _restrict(plan: dict[str, Any]) -> None:
    """In the child, after its user was changed: bounds, and death with the supervisor."""
    os.setpriority(os.PRIO_PROCESS, 0, plan["priority"])
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name in ("cpu_seconds", "memory_bytes"):
        if plan[name] is not None:
            kind = resource.RLIMIT_CPU if name == "cpu_seconds" else resource.RLIMIT_AS
            resource.setrlimit(kind, (plan[name], plan[name]))
    if plan["uid"] is not None:
        most = _most_tasks(plan)
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


def _most_tasks(plan: dict[str, Any]) -> int:
    """RLIMIT_NPROC counts the threads of everything that the user runs: a wall against fork bombs only."""
    if plan["processes"] is None:
        return _MOST_TASKS_OF_THE_USER
    running = 0
    for entry in _PROC.glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError):
            running += entry.stat().st_uid == plan["uid"]
    return min(_MOST_TASKS_OF_THE_USER, (running + int(plan["processes"])) * _TASKS_A_PROCESS)


def _start(plan: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Keep what is returned: a Popen that is collected reaps its child, and the exit code is lost."""
    as_other: dict[str, Any] = {}
    if plan["uid"] is not None:
        as_other = {"user": plan["uid"], "group": plan["gid"], "extra_groups": []}
    return subprocess.Popen(
        plan["argv"],
        cwd=plan["cwd"],
        env=plan["env"],
        start_new_session=True,
        close_fds=True,
        preexec_fn=lambda: _restrict(plan),  # noqa: PLW1509 (this program has one thread)
        **as_other,
    )


def _watch(child: int, most: int | None, control: socket.socket, woken: socket.socket) -> dict[str, Any]:
    """Wait for the child's end, the parent's wish or death, or more processes than allowed."""
    while True:
        ended = _reap()
        if child in ended:
            return {"exit": ended[child]}
        if most is not None and len(descendants(os.getpid())) > most:
            return {"exit": -signal.SIGKILL, "over": "processes"}
        readable, _, _ = select.select([control, woken], [], [], None if most is None else 0.1)
        if woken in readable:
            woken.recv(4096)
        if control in readable:
            return {"exit": -signal.SIGKILL}


def _supervise(plan: dict[str, Any], control: socket.socket) -> dict[str, Any]:
    woken, waker = socket.socketpair()
    for end in (woken, waker):
        end.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: control.shutdown(socket.SHUT_RD))
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    plan["priority"] = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(PermissionError):  # what a fork bomb starves cannot end it
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    try:
        child = _start(plan)
    except (OSError, subprocess.SubprocessError) as error:
        return {"error": str(error)}
    try:
        return _watch(child.pid, plan["processes"], control, woken)
    finally:
        _end_everything()


def main() -> None:
    """Read the plan, carry it out, tell the result, leave nothing behind."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    with control.makefile("rb") as lines:
        line = lines.readline()
    if not line.endswith(b"\n"):
        return
    plan = json.loads(line)
    result = _supervise(plan, control)
    if plan["private"]:
        shutil.rmtree(plan["private"], ignore_errors=True)
    with contextlib.suppress(OSError):
        control.sendall(json.dumps(result).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    main()
