"""Running an operator's command: its limits, its secrets, and a log that does not repeat them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dct_pipelines.domain.operations import ProcessLimits
from dct_pipelines.domain.ports import SecretsPort
from dct_pipelines.domain.process import Command, ProcessPort, ProcessResult, ResourceLimits, Stream

_SHORTEST_SECRET = 4
"""Shorter values are no secrets; blotting them out would only make logs unreadable."""
_LAST_WORDS = 1500


@dataclass(frozen=True, kw_only=True)
class OperatorCommand:
    """What an operator defined, in a directory. `secrets` are references, read when it starts."""

    argv: tuple[str, ...]
    cwd: Path | None
    variables: Mapping[str, str]
    secrets: Mapping[str, str]
    limits: ProcessLimits
    writable: tuple[Path, ...] = ()
    log: Callable[[str], None] = field(compare=False)
    is_cancelled: Callable[[], bool] = field(compare=False)


def run_command(processes: ProcessPort, secrets: SecretsPort, asked: OperatorCommand) -> ProcessResult:
    """Run it to its end, however it ends; each printed line goes to the log as it comes.

    What it prints of its secrets is replaced by their names, in the log and in the result.
    """
    values = {name: secrets.read(reference) for name, reference in asked.secrets.items()}

    def on_line(_stream: Stream, line: str) -> None:
        asked.log(redacted(line, values))

    command = Command(
        argv=asked.argv,
        cwd=asked.cwd,
        env={**asked.variables, **values},
        timeout_seconds=asked.limits.timeout_seconds,
        output_limit_bytes=asked.limits.output_limit_kb * 1024,
        limits=resource_limits(asked.limits),
        writable=asked.writable,
        on_line=on_line,
        cancelled=asked.is_cancelled,
    )
    result = processes.run(command)
    said = (redacted_bytes(text, values) for text in (result.stdout, result.stderr))
    return replace(result, stdout=next(said), stderr=next(said))


def resource_limits(limits: ProcessLimits) -> ResourceLimits:
    """An operator's limits as the process port takes them."""
    memory = None if limits.memory_mb is None else limits.memory_mb * 1024 * 1024
    return ResourceLimits(memory_bytes=memory, processes=limits.max_processes)


def redacted(text: str, values: Mapping[str, str]) -> str:
    """The text with the values of secrets replaced by their names."""
    for name, value in values.items():
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, f"[{name}]")
    return text


def redacted_bytes(text: bytes, values: Mapping[str, str]) -> bytes:
    """The same for what a command printed."""
    return redacted(text.decode("utf-8", "surrogateescape"), values).encode("utf-8", "surrogateescape")


def why_it_failed(result: ProcessResult, limits: ProcessLimits) -> str:
    """In words why a command did not succeed, with the end of what it said."""
    if result.timed_out:
        cause = f"did not end within {limits.timeout_seconds} s and was killed with all that it had started"
    elif result.cancelled:
        cause = "was stopped because the execution was cancelled"
    elif result.killed:
        cause = "was killed because it went over a limit"
    elif result.exit_code < 0:
        cause = f"was ended by signal {-result.exit_code}"
    else:
        cause = f"ended with exit code {result.exit_code}"
    words = result.last_words(_LAST_WORDS)
    return f"{cause}; its last words:\n{words}" if words else f"{cause} and said nothing"
