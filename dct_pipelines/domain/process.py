"""The words of child processes: what to run, how far it may go, and what became of it.

Every command of the product (git, deployers, test suites, agents) goes through `ProcessPort`, so that
there is one place that knows no shell, an allow-listed environment, bounded output, and a certain end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

DEFAULT_TIMEOUT_SECONDS = 600.0
DEFAULT_OUTPUT_LIMIT_BYTES = 1024 * 1024


class IsolationLevel(StrEnum):
    """How far a command is kept from the rest of the machine, strongest first."""

    BWRAP = "bwrap"
    """A read-only view of the machine, a process namespace of its own, our secrets masked."""
    USER = "user"
    """Another, unprivileged user of the machine; only the named directories are writable."""
    NONE = "none"
    """Our own user: it can read what we can read."""


class IsolationMode(StrEnum):
    """What an operator asks for (`DCT_ISOLATION`)."""

    AUTO = "auto"
    REQUIRED = "required"
    NONE = "none"


class Stream(StrEnum):
    """Where a line was printed."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLimits:
    """Upper bounds of one command; None is unlimited.

    `cpu_seconds` and `memory_bytes` (address space) hold for each process, `processes` for all together.
    """

    cpu_seconds: int | None = None
    memory_bytes: int | None = None
    processes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One program to run: an argument list, never a shell line.

    `env` is added to the few allow-listed variables (PATH, LANG, LC_ALL, TZ) and a private, empty HOME.
    `writable` names the directories that the command may write when it is isolated; `cwd` is always one.
    `trusted` marks our own tools (git): no isolation, but the same environment, limits and certain end.
    `on_line` gets complete lines while they are printed, and no more than `output_limit_bytes` of them.
    `cancelled` is asked a few times a second; once true, the command and all it started is killed.
    What a command leaves running is killed when it ends: a service belongs to a service manager.
    """

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    output_limit_bytes: int = DEFAULT_OUTPUT_LIMIT_BYTES
    limits: ResourceLimits = ResourceLimits()
    writable: tuple[Path, ...] = ()
    trusted: bool = False
    on_line: Callable[[Stream, str], None] | None = field(default=None, compare=False, repr=False)
    cancelled: Callable[[], bool] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessResult:
    """What became of a command.

    `exit_code` is negative when a signal ended it (-9: SIGKILL). Of each stream the head and the tail are
    kept, together at most `output_limit_bytes`, with a line between that says how much was left out;
    `stdout_bytes` and `stderr_bytes` count what was printed.
    `killed` is true whenever we ended it: `timed_out`, `cancelled`, or over a limit.
    """

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    duration_seconds: float = 0.0
    timed_out: bool = False
    cancelled: bool = False
    killed: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether it ended by itself, with exit code 0."""
        return self.exit_code == 0 and not self.killed

    def last_words(self, limit: int = 2000) -> str:
        """The end of what it said (stderr if any, else stdout) as text, for messages."""
        said = self.stderr.strip() or self.stdout.strip()
        return said[-limit:].decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationStatus:
    """Which isolation is in force, and in words why, for `dct status` and `dct doctor`.

    `warnings` are sentences about what a command could still reach; an empty tuple is good.
    """

    level: IsolationLevel
    explanation: str
    warnings: tuple[str, ...] = ()


class ProcessPort(Protocol):
    """Runs commands; the one way to a child process."""

    def run(self, command: Command) -> ProcessResult:
        """Run to the end, however it ends; a non-zero exit code is a result, not an error.

        Raises `ProcessFailed` when it could not even start (no such program or directory), and
        `IsolationUnavailable` when isolation is required and there is none.
        """
        ...

    def isolation_status(self) -> IsolationStatus:
        """The level that commands which are not `trusted` run at."""
        ...
