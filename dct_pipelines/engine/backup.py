"""Backups: one moment of the database and what of the home cannot be made again, in one file, checked.

The dump and the figures of each table are read in the same snapshot, side by side. Nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import dct_pipelines
from dct_pipelines.clients.backup_file import (
    BackupFile,
    BackupWriter,
    remove_old_drafts,
    writing,
)
from dct_pipelines.domain.backups import DUMP, FORMAT, FilePrint, Manifest, TablePrint
from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.errors import NotPermitted
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.roles import deployment_fault
from dct_pipelines.engine.manage.stored import load
from dct_pipelines.engine.restored import KIND
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions import people
from dct_pipelines.store.dumps import snapshot

Tell = Callable[[str], None]
"""Hears, in a line, how far it is."""
TOLD_EVERY_BYTES = 64 * 1024 * 1024
MANY_ROWS = 100_000
"""A table with as many is told when it has been read."""
CANCEL_AGAIN_SECONDS = 0.2
"""A query that is cancelled may have just ended, and the next one begun."""


class Moment(Protocol):
    """What is read of a `Snapshot`, by two threads."""

    def dump(self) -> Generator[bytes, None, None]: ...
    def fingerprint(self, tell: Callable[[str, int], None]) -> dict[str, TablePrint]: ...
    def cancel(self) -> None: ...


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
        now = self.clock.now()
        if path.is_dir():
            path = path / f"dct-{now:%Y%m%dT%H%M%SZ}-{backup_id.hex[:8]}.backup"
        for draft in remove_old_drafts(path.parent, now):
            tell(f"removed {draft}, which a backup that was killed has left")
        with writing(path, backup_id) as writer:
            with snapshot(self.database) as moment:
                dump, tables = dump_and_prints(moment, writer, tell)
            left_out = writer.add_home(self.home)
            manifest = Manifest(
                format=FORMAT,
                id=backup_id,
                as_of=moment.as_of,
                release=dct_pipelines.__version__,
                revision=moment.revision,
                postgres=moment.server.major,
                home=str(self.home),
                schemas=moment.schemas,
                tables=tables,
                files=writer.files,
                left_out=left_out.count,
                left_out_because=left_out.named,
            )
            writer.finish(manifest)
        with self.database.begin() as connection:
            detail = {"id": str(backup_id), "rows": manifest.rows, "bytes": dump.bytes}
            people.audit(connection, by, "backup", KIND, path.name, detail)
        return path, manifest


def check(path: Path) -> Manifest:
    """Read all of a backup and compare it with what it says of itself; needs no database."""
    return BackupFile(path).verify()


def dump_and_prints(
    moment: Moment, writer: BackupWriter, tell: Tell
) -> tuple[FilePrint, dict[str, TablePrint]]:
    """The dump, and beside it what each table holds; when either fails, the other is not waited for."""
    with ThreadPoolExecutor(1) as beside:
        told = beside.submit(moment.fingerprint, lambda table, rows: _told(tell, table, rows))
        try:
            with closing(_counting(moment, tell, told)) as dump:
                return writer.add(DUMP, dump), told.result()
        except BaseException:
            while not told.done():
                moment.cancel()
                wait([told], timeout=CANCEL_AGAIN_SECONDS)
            raise


def _told(tell: Tell, table: str, rows: int) -> None:
    if rows >= MANY_ROWS:
        tell(f"read {counted(rows, 'row')} of {table}")


def _counting(
    moment: Moment, tell: Tell, told: Future[dict[str, TablePrint]]
) -> Generator[bytes, None, None]:
    written = 0
    with closing(moment.dump()) as dump:  # so that its program ends with it
        for piece in dump:
            if told.done():
                told.result()  # raises what it failed with
            before, written = written, written + len(piece)
            if before // TOLD_EVERY_BYTES != written // TOLD_EVERY_BYTES:
                tell(f"dumped {written >> 20} MiB, compressed")
            yield piece
