"""Notes that processes of one home leave for each other: small files, each replaced as a whole."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

ADDRESS_FILE = "code-server.json"
JOBS_FILE = "loaded-jobs.json"
POOLS_FILE = "warm-pools.json"
_NAMES = TypeAdapter(frozenset[str])
_DOORS = TypeAdapter(tuple[Path, ...])


class CodeServerAddress(BaseModel):
    """The socket that the code server of `dct up` listens on, and its process."""

    model_config = ConfigDict(frozen=True)

    socket: Path
    pid: int


def write_address(home: Path, address: CodeServerAddress) -> None:
    """Say where the code server listens."""
    _replace(home / ADDRESS_FILE, address.model_dump_json().encode())


def read_address(home: Path) -> CodeServerAddress | None:
    """The address; None when no `dct up` runs for this home."""
    try:
        return CodeServerAddress.model_validate_json((home / ADDRESS_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def remove_address(home: Path) -> None:
    """Say that nobody listens any more."""
    (home / ADDRESS_FILE).unlink(missing_ok=True)


def write_loaded_jobs(home: Path, names: frozenset[str]) -> None:
    """Say which jobs the code server of Dagster's daemon has loaded; cheap when nothing changed.

    A full disk must not stop the dispatcher, who says it again at its next tick.
    """
    with contextlib.suppress(OSError):
        if read_loaded_jobs(home) != names:
            _replace(home / JOBS_FILE, _NAMES.dump_json(names))


def read_loaded_jobs(home: Path) -> frozenset[str]:
    """The jobs that the daemon's code server had loaded when it last dispatched; empty before that."""
    try:
        return _NAMES.validate_json((home / JOBS_FILE).read_bytes())
    except (OSError, ValidationError):
        return frozenset()


class PoolsNote:
    """The note that says at which sockets the worker pools of a home listen, as its writer keeps it.

    It is locked for as long as its writer lives, however that dies. Each note is a file of its own, so that
    whoever looks whether one is locked is never in the way of the next.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / POOLS_FILE
        self._kept = contextlib.ExitStack()

    def write(self, doors: Sequence[Path]) -> None:
        """Say it, the newest generation first."""
        scratch = _scratch(self._path)
        with contextlib.ExitStack() as opened:
            file = opened.enter_context(scratch.open("wb"))
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(_DOORS.dump_json(tuple(doors)))
            file.flush()
            scratch.replace(self._path)
            self._kept.close()
            self._kept = opened.pop_all()

    def remove(self) -> None:
        """Say that there is no worker pool any more."""
        self._path.unlink(missing_ok=True)
        self._kept.close()


def pools_are_kept(home: Path) -> bool:
    """Whether worker pools are noted by somebody who lives: a `dct up` that was killed leaves its note."""
    with contextlib.suppress(OSError), (home / POOLS_FILE).open("rb") as note:
        try:
            fcntl.flock(note, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def read_pools(home: Path) -> tuple[Path, ...]:
    """The sockets of the worker pools, also of those that may still end their work; empty without a note."""
    try:
        return _DOORS.validate_json((home / POOLS_FILE).read_bytes())
    except (OSError, ValidationError):
        return ()


def _replace(path: Path, content: bytes) -> None:
    scratch = _scratch(path)
    scratch.write_bytes(content)
    scratch.replace(path)


def _scratch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{path.name}.new")
