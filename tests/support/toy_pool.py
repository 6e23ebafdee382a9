"""A worker pool that plays: `python -m tests.support.toy_pool --door SOCKET --marks DIRECTORY`.

A launch's body is JSON, what to do: wait for a file to be there (`until`), ignore interrupts (`stubborn`),
take memory (`grow`, in bytes), raise (`fail`), or end its process (`exit`). Each beginning and each end is a
line in the file `begun` and `done` of the directory `--book`.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from dct_pipelines.clients.pool.caller import Health, Pools, ask
from dct_pipelines.clients.pool.launch import Launch, LaunchState
from dct_pipelines.clients.pool.roster import Size
from dct_pipelines.clients.pool.worker import Work
from dct_pipelines.clients.pool.zygote import Zygote
from dct_pipelines.clients.stack.notes import PoolsNote
from dct_pipelines.clients.stack.service import Service
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
_kept: list[bytes] = []


def play(book: Path, launch: Launch) -> None:
    _write(book / "begun", launch.key)
    wanted: dict[str, Any] = json.loads(launch.body or "{}")
    if wanted.get("stubborn"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "grow" in wanted:
        _kept.append(b"x" * wanted["grow"])
    if "fail" in wanted:
        raise RuntimeError(wanted["fail"])
    if "exit" in wanted:
        os._exit(wanted["exit"])
    while "until" in wanted and not Path(wanted["until"]).exists():
        time.sleep(0.01)
    _write(book / "done", launch.key)


def _write(path: Path, key: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{key} {os.getpid()}\n".encode())
    os.close(descriptor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("door", "marks", "book"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--size", type=json.loads, default={})
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO)

    def prepare() -> Work:
        _write(asked.book / "prepared", "worker")
        if (missing := asked.book / "missing").exists():
            raise OSError(f"there is no {missing.read_text()}")
        return lambda launch: play(asked.book, launch)

    Zygote(asked.door, asked.marks, prepare, {"jobs": ["toy"]}, Size(**asked.size)).run()


@dataclass
class ToyPool:
    """A zygote of its own process, as a test sees it; its files lie in `home`."""

    home: Path
    name: str = "one"
    size: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.book = self.home / "book"
        self.marks = self.home / "marks"
        self.book.mkdir(parents=True, exist_ok=True)
        self.door = self.home / f"{self.name}.sock"
        self._noted = PoolsNote(self.home)
        paths = [f"--{name}={path}" for name, path in (("door", self.door), ("marks", self.marks))]
        arguments = [*paths, f"--book={self.book}", f"--size={json.dumps(self.size)}"]
        variables = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
        log = self.home / f"{self.name}.log"
        self.service = Service(
            f"pool {self.name}", "tests.support.toy_pool", arguments, log, variables, self.door
        )

    def start(self) -> ToyPool:
        self.service.start()
        assert self.service.wait_until_ready(30), self.service.last_words()
        self.note()
        return self

    def note(self, *others: ToyPool) -> None:
        """Be the newest pool of the home."""
        self._noted.write([self.door, *(other.door for other in others)])

    def stop(self) -> None:
        self.service.stop()
        self._noted.remove()

    @property
    def pools(self) -> Pools:
        return Pools(self.home)

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.service.pid)

    def workers(self) -> list[psutil.Process]:
        return [one for one in self.process.children() if one.status() != psutil.STATUS_ZOMBIE]

    def hello(self) -> dict[str, Any]:
        return dict(ask(self.door, {"ask": "hello"}))

    def launch(self, *keys: str, limit: float | None = None, alone: bool = False, **wanted: object) -> None:
        body = json.dumps(wanted, default=str)
        self.pools.launch([Launch(key, body, limit, alone) for key in keys])

    def held(self, *keys: str, alone: bool = False, limit: float | None = None, **wanted: object) -> Path:
        """Launch what works until the file is there; returns the file once all have begun."""
        release = self.home / f"release-{keys[0]}"
        self.launch(*keys, alone=alone, limit=limit, until=release, **wanted)
        assert eventually(lambda: set(keys) <= set(self.begun())), self.service.last_words()
        return release

    def health(self, *keys: str) -> Health:
        return self.pools.health(keys)

    def state(self, key: str) -> LaunchState:
        return self.health(key).states[key]

    def how(self, key: str) -> str:
        return self.health(key).ended.get(key, "")

    def ended(self, *keys: str) -> bool:
        """Whether all of these end in time."""
        return eventually(
            lambda: all(state is LaunchState.ENDED for state in self.health(*keys).states.values())
        )

    def begun(self) -> list[str]:
        return [key for key, _ in self._lines("begun")]

    def done(self) -> list[str]:
        return [key for key, _ in self._lines("done")]

    def prepared(self) -> list[tuple[str, str]]:
        """One for each worker that got so far."""
        return self._lines("prepared")

    def pid_of(self, key: str) -> int:
        return int(next(pid for one, pid in self._lines("begun") if one == key))

    def worker_of(self, key: str) -> psutil.Process:
        return psutil.Process(self.pid_of(key))

    def _lines(self, name: str) -> list[tuple[str, str]]:
        path = self.book / name
        lines = path.read_text().splitlines() if path.exists() else []
        return [(line.split()[0], line.split()[1]) for line in lines]

    def kill(self) -> None:
        self.service.kill()
        assert eventually(lambda: not self.service.is_running)


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


if __name__ == "__main__":
    main()
