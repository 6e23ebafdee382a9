"""Backups: one moment of the database and what of the home cannot be made again, in one file, checked.

The dump and the figures of each table are read in the same snapshot, side by side. Nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import dct_pipelines
from dct_pipelines.clients.backup_file import BackupFile, files_of_home, pieces, writing
from dct_pipelines.domain.backups import DUMP, FORMAT, Manifest
from dct_pipelines.domain.errors import NotPermitted
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.roles import deployment_fault
from dct_pipelines.engine.manage.stored import load
from dct_pipelines.engine.restored import KIND
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions import people
from dct_pipelines.store.dumps import Snapshot, snapshot

Tell = Callable[[str], None]
"""Hears, in a line, how far it is."""
TOLD_EVERY_BYTES = 64 * 1024 * 1024
MANY_ROWS = 100_000
"""A table with as many is told when it has been read."""


@dataclass(frozen=True)
class Backups:
    """Makes and checks backups of the deployment whose database and home these are."""

    database: Database
    home: Path
    clock: Clock

    def make(self, path: Path, by: str, tell: Tell) -> tuple[Path, Manifest]:
        """Write a backup to `path`, or into it under a name of its own where it is a directory.

        NotPermitted unless `by` is an operator or admin; InvalidInput when the file is there already.
        """
        with self.database.connect() as connection:
            if message := deployment_fault(load(connection).role(by)):
                raise NotPermitted(message)
        backup_id = uuid4()
        if path.is_dir():
            path = path / f"dct-{self.clock.now():%Y%m%dT%H%M%SZ}-{backup_id.hex[:8]}.backup"
        with writing(path, backup_id) as writer, snapshot(self.database) as moment:
            with ThreadPoolExecutor(1) as beside:
                told = beside.submit(moment.fingerprint, lambda table, rows: _told(tell, table, rows))
                dump = writer.add(DUMP, _counting(moment, tell))
                tables = told.result()
            for name, file in files_of_home(self.home):
                writer.add(name, pieces(file))
            manifest = Manifest(
                format=FORMAT,
                id=backup_id,
                as_of=moment.as_of,
                release=dct_pipelines.__version__,
                revision=moment.revision,
                postgres=moment.server.major,
                schemas=moment.schemas,
                tables=tables,
                files=writer.files,
            )
            writer.finish(manifest)
        with self.database.begin() as connection:
            detail = {"id": str(backup_id), "rows": manifest.rows, "bytes": dump.bytes}
            people.audit(connection, by, "backup", KIND, path.name, detail)
        return path, manifest


def check(path: Path) -> Manifest:
    """Read all of a backup and compare it with what it says of itself; needs no database."""
    return BackupFile(path).verify()


def _told(tell: Tell, table: str, rows: int) -> None:
    if rows >= MANY_ROWS:
        tell(f"read {rows:,} rows of {table}")


def _counting(moment: Snapshot, tell: Tell) -> Iterator[bytes]:
    written = 0
    for piece in moment.dump():
        before, written = written, written + len(piece)
        if before // TOLD_EVERY_BYTES != written // TOLD_EVERY_BYTES:
            tell(f"dumped {written >> 20} MiB, compressed")
        yield piece
