"""Where one embedded server keeps its data and its socket.

Normally `<home>/postgres`. When root runs it and the server's user cannot enter the home (a checkout under
root's own home, a volume with strict modes), a directory under `/var/lib/dct`, remembered by a pointer file
in the home.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dct_pipelines.domain.errors import EmbeddedPostgresError
from dct_pipelines.store.embedded.account import Account

SHARED = Path("/var/lib/dct")
POINTER = "postgres.place"
SOCKET_PATH_BYTES = 75
"""Kernels take 104 to 108 bytes for a socket's whole path; its file name and a reserve go off that."""
SHORT_PLACE = Path("/tmp")  # noqa: S108 - not TMPDIR: that differs between a login, cron and a service
NAME = "dct"
"""Of the superuser and of the database."""
PORT = 5432
"""Pinned, so that a PGPORT in somebody's environment does not matter."""


@dataclass(frozen=True)
class Place:
    """The directory of one server and the paths in it."""

    directory: Path

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def life_lock(self) -> Path:
        return self.directory / "life.lock"

    @property
    def socket_directory(self) -> Path:
        """Deterministic, short, and without characters that libpq or PostgreSQL treats specially."""
        natural = self.directory / "run"
        if len(os.fsencode(natural)) <= SOCKET_PATH_BYTES and re.fullmatch(
            r"[\w./-]+", str(natural), re.ASCII
        ):
            return natural
        return SHORT_PLACE / f"dct-{hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]}"

    @property
    def socket(self) -> Path:
        return self.socket_directory / f".s.PGSQL.{PORT}"


def find_place(home: Path, account: Account) -> Place | None:
    """Return where the server of `home` is or will be; None when a place elsewhere has yet to be chosen."""
    try:
        return Place(Path((home / POINTER).read_text().strip()))
    except FileNotFoundError:
        return Place(home / "postgres") if account.can_enter(home) else None


def prepare_place(home: Path, account: Account, shared: Path) -> Place:
    """Make the place of `home`; only under `start.lock`. A lost place elsewhere is made again, empty."""
    place = find_place(home, account)
    if place is None:
        trusted_directory(shared, account)
        place = Place(Path(tempfile.mkdtemp(dir=shared, prefix="server-")))
        scratch = home / f"{POINTER}.new"
        scratch.write_text(f"{place.directory}\n")
        scratch.replace(home / POINTER)
    elif place.directory != home / "postgres":
        trusted_directory(shared, account)
    place.directory.mkdir(exist_ok=True)
    place.directory.chmod(0o711 if account.is_other else 0o700)
    return place


def trusted_directory(directory: Path, account: Account) -> None:
    """Make `directory` for programs and data of root's server; refuse one that others could have prepared."""
    try:
        if not directory.is_dir():
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o711)
        status = directory.lstat()
    except OSError as error:
        raise EmbeddedPostgresError(
            f"user {account.name}, who has to run PostgreSQL for root, cannot reach DCT_HOME or the programs "
            f"and {directory} for copies of them cannot be made ({error}): set DCT_DATABASE_URL, or "
            "have DCT_HOME and the environment in directories that others can enter"
        ) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise EmbeddedPostgresError(
            f"{directory} can be changed by others; remove it or correct its owner and mode"
        )
    if not account.can_enter(directory):
        raise EmbeddedPostgresError(
            f"user {account.name} cannot enter {directory}; set DCT_HOME to another place"
        )
