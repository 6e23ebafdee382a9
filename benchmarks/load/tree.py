"""Processor time and memory of a whole deployment, from /proc: every process below this one, living or ended.

This process becomes the reaper of orphans, so that whatever a deployment starts stays below it, also what
detaches itself (PostgreSQL). The kernel adds the time of an ended child to its parent when the parent has
waited for it; with that, the sum over all living processes of their own and their children's time only ever
loses what nobody waits for: children of a parent that ignores SIGCHLD. Nothing of a deployment does.
"""

from __future__ import annotations

import os
import resource
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dct_pipelines.clients.processes.supervisor import prctl

PR_SET_CHILD_SUBREAPER = 36
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
ENDED = "ended processes"
ROLES: Mapping[str, str] = {
    "postgres": "PostgreSQL",
    "code-server": "code server's door",
    "grpc": "code server",
    "multiprocessing.spawn": "run",
    "dagster._daemon": "daemon",
    "dct_pipelines.instance.daemon": "daemon",
    "dct_pipelines.instance.warm": "warm pool",
    "dagster_webserver": "web UI",
    "up": "supervisor",
}
"""What stands in a command line → what its process is called. Others are called by their module."""


@dataclass(frozen=True)
class Process:
    """One process: seconds of processor time of its own, and of those that it has waited for."""

    pid: int
    started: int
    parent: int
    role: str
    own_seconds: float
    waited_seconds: float

    @property
    def key(self) -> tuple[int, int]:
        """Process ids come again; with the time of the start they do not."""
        return self.pid, self.started


@dataclass(frozen=True)
class Sample:
    """All processes at one moment, and the time of those that this one has waited for itself."""

    processes: Mapping[tuple[int, int], Process]
    waited_seconds: float

    @property
    def seconds(self) -> float:
        """All processor time until then; only differences mean anything."""
        return self.waited_seconds + sum(
            process.own_seconds + process.waited_seconds for process in self.processes.values()
        )


def spent(before: Sample, after: Sample) -> dict[str, float]:
    """Seconds of processor time between two samples, by role; those that ended meanwhile as one."""
    found: defaultdict[str, float] = defaultdict(float)
    for key, process in after.processes.items():
        earlier = before.processes.get(key)
        found[process.role] += process.own_seconds - (earlier.own_seconds if earlier else 0.0)
    ended = after.seconds - before.seconds - sum(found.values())
    return {**found, ENDED: max(0.0, ended)}


class Tree:
    """The processes below this one. `apart` are left out with all below them: source and sink."""

    def __init__(self, apart: Collection[int] = ()) -> None:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._apart = frozenset(apart)

    def sample(self) -> Sample:
        """All processes as they are now."""
        _reap_orphans()
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        processes = {process.key: process for process in _below(os.getpid(), self._apart)}
        return Sample(processes, usage.ru_utime + usage.ru_stime)

    def memory(self) -> dict[str, float]:
        """MB of each role, proportional (PSS): what n processes share counts for each as its nth part."""
        found: defaultdict[str, float] = defaultdict(float)
        for process in _below(os.getpid(), self._apart):
            with suppress(OSError):
                found[process.role] += _pss_megabytes(process.pid)
        return dict(found)

    def files(self) -> dict[str, int]:
        """Open descriptors of each role."""
        found: defaultdict[str, int] = defaultdict(int)
        for process in _below(os.getpid(), self._apart):
            with suppress(OSError):
                found[process.role] += sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir())
        return dict(found)

    def counts(self) -> dict[str, int]:
        """Processes of each role."""
        return dict(Counter(process.role for process in _below(os.getpid(), self._apart)))


def seconds_of(pid: int) -> float:
    """Processor time of one process, all its threads."""
    return _read(pid, "").own_seconds


def _below(root: int, apart: frozenset[int]) -> Iterator[Process]:
    """Every descendant of a process, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                children.setdefault(_read(int(entry.name), "").parent, []).append(int(entry.name))
    waiting = [(pid, "") for pid in children.get(root, ())]
    while waiting:
        pid, above = waiting.pop()
        if pid in apart:
            continue
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
            yield _read(pid, role_of(command, is_fork=bool(command) and command == above))
            waiting += [(child, command) for child in children.get(pid, ())]


def _reap_orphans() -> None:
    """Wait for ended processes that came to us. `subprocess` bears that one of its own is among them."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _read(pid: int, role: str) -> Process:
    text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    fields = text.rpartition(")")[2].split()
    user, system, waited_user, waited_system = (int(field) / TICKS_PER_SECOND for field in fields[11:15])
    return Process(
        pid=pid,
        started=int(fields[19]),
        parent=int(fields[1]),
        role=role,
        own_seconds=user + system,
        waited_seconds=waited_user + waited_system,
    )


def role_of(command: str, *, is_fork: bool) -> str:
    """What a process is called, by its command line as /proc has it; a fork has its parent's."""
    words = command.replace("\0", " ").split()
    name = next((ROLES[word] for word in map(_bare, words) if word in ROLES), None)
    if name is None:
        module = words[words.index("-m") + 1] if "-m" in words[:-1] else (words or ["nameless"])[0]
        name = _bare(module)
    return f"{name}'s forks" if is_fork and name != ROLES["postgres"] else name


def _bare(word: str) -> str:
    return word.rpartition("/")[2].rstrip(":")


def _pss_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
