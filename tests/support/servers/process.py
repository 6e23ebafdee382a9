"""Run a server of somebody else's until the block ends: ready when its port answers, ended by its own id."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

START_SECONDS = 30
END_SECONDS = 10
LOOK_EVERY_SECONDS = 0.02
SHOWN_LOG_CHARACTERS = 3_000


class ServerFailed(Exception):
    """A server is missing or did not start; the message tells what to do, or ends with the server's log."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    name: str, argv: Sequence[str | Path], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start `argv`, wait until `port` takes connections, and end it afterwards. What it prints goes to `log`,
    which stays for whoever looks into a failure.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [os.fspath(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    try:
        _wait_for(name, process, port, log)
        yield process
    finally:
        _end(process)


def _wait_for(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = monotonic() + START_SECONDS
    while monotonic() < deadline:
        try:
            code = process.wait(LOOK_EVERY_SECONDS)
        except subprocess.TimeoutExpired:
            if _answers(port):
                return
        else:
            raise ServerFailed(f"{name} ended with {code} while it started; {log} ends:\n{_end_of(log)}")
    raise ServerFailed(
        f"{name} did not answer on port {port} in {START_SECONDS} s; {log} ends:\n{_end_of(log)}"
    )


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-SHOWN_LOG_CHARACTERS:]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
