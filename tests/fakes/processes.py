"""`FakeProcesses`: commands as little scripts, played without a child process and without waiting.

Held to the same contract as the real port by tests/contracts/test_processes.py.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from dct_pipelines.domain.errors import ProcessFailed
from dct_pipelines.domain.process import (
    Command,
    IsolationLevel,
    IsolationStatus,
    ProcessResult,
    Stream,
)


@dataclass(frozen=True, slots=True)
class Say:
    """Print a line."""

    text: str
    stream: Stream = Stream.STDOUT


@dataclass(frozen=True, slots=True)
class Flood:
    """Print so many bytes."""

    count: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """Print what came on standard input."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Let so many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Exit:
    """End with that exit code."""

    code: int


Step = Say | Flood | Repeat | Wait | Exit
Script = tuple[Step, ...]


@dataclass
class FakeProcesses:
    """A `ProcessPort` whose programs are scripts, or functions of the command that return one.

    `commands` is everything that was run, in order. A program that was not given does not exist.
    """

    programs: dict[str, Script | Callable[[Command], Script]] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)

    def run(self, command: Command) -> ProcessResult:
        """Play the script of `argv[0]`."""
        if command.argv[0] not in self.programs:
            raise ProcessFailed(f"there is no program {command.argv[0]!r} that could be run")
        if command.cwd is not None and not command.cwd.is_dir():
            raise ProcessFailed(f"the directory {command.cwd} does not exist")
        self.commands.append(command)
        program = self.programs[command.argv[0]]
        play = _Play(command)
        for step in program(command) if callable(program) else program:
            if play.ended:
                break
            play.do(step)
        return play.result()

    def isolation_status(self) -> IsolationStatus:
        """Nothing is run, so nothing is isolated."""
        return IsolationStatus(level=IsolationLevel.NONE, explanation="commands are played, not run")


class _Play:
    def __init__(self, command: Command) -> None:
        self.command = command
        self.printed = {stream: bytearray() for stream in Stream}
        self.seconds = 0.0
        self.exit_code = 0
        self.ended = self.timed_out = self.cancelled = False

    def do(self, step: Step) -> None:
        match step:
            case Say(text, stream):
                self.printed[stream] += text.encode() + b"\n"
                if self.command.on_line:
                    self.command.on_line(stream, text)
            case Flood(count):
                self.printed[Stream.STDOUT] += b"x" * count
            case Repeat():
                self.printed[Stream.STDOUT] += self.command.stdin
            case Wait(seconds):
                self._wait(seconds)
            case Exit(code):
                self.exit_code, self.ended = code, True

    def _wait(self, seconds: float) -> None:
        self.cancelled = bool(self.command.cancelled and self.command.cancelled())
        if not self.cancelled:
            self.seconds = min(self.seconds + seconds, self.command.timeout_seconds)
            self.timed_out = self.seconds >= self.command.timeout_seconds
        if self.cancelled or self.timed_out:
            self.exit_code, self.ended = -signal.SIGKILL, True

    def result(self) -> ProcessResult:
        kept = {stream: self._bounded(bytes(self.printed[stream])) for stream in Stream}
        limit = self.command.output_limit_bytes
        return ProcessResult(
            exit_code=self.exit_code,
            stdout=kept[Stream.STDOUT],
            stderr=kept[Stream.STDERR],
            stdout_bytes=len(self.printed[Stream.STDOUT]),
            stderr_bytes=len(self.printed[Stream.STDERR]),
            stdout_truncated=len(self.printed[Stream.STDOUT]) > limit,
            stderr_truncated=len(self.printed[Stream.STDERR]) > limit,
            duration_seconds=self.seconds,
            timed_out=self.timed_out,
            cancelled=self.cancelled,
            killed=self.timed_out or self.cancelled,
        )

    def _bounded(self, said: bytes) -> bytes:
        limit = self.command.output_limit_bytes
        if len(said) <= limit:
            return said
        left_out = len(said) - limit
        tail = said[len(said) - limit // 2 :]
        return said[: limit - limit // 2] + f"\n[... {left_out} bytes left out ...]\n".encode() + tail
