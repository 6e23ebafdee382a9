"""Notes that processes of one home leave for each other: small files, each replaced as a whole."""

from __future__ import annotations

import contextlib
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


def write_pools(home: Path, doors: Sequence[Path]) -> None:
    """Say at which sockets the worker pools of this home listen, the newest generation first."""
    _replace(home / POOLS_FILE, _DOORS.dump_json(tuple(doors)))


def read_pools(home: Path) -> tuple[Path, ...]:
    """The sockets of the worker pools; empty when no `dct up` runs for this home."""
    try:
        return _DOORS.validate_json((home / POOLS_FILE).read_bytes())
    except (OSError, ValidationError):
        return ()


def remove_pools(home: Path) -> None:
    """Say that there is no worker pool any more."""
    (home / POOLS_FILE).unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.new")
    scratch.write_bytes(content)
    scratch.replace(path)
