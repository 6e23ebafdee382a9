"""The steps of a start: initialise the data, write the configuration, start the server, make the database.

Each may be cut off by a kill at any moment and is then done again, or found done, by the next starter.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2.errors import DuplicateDatabase, UniqueViolation

from dct_pipelines.domain.errors import DatabaseUnavailable, EmbeddedPostgresError
from dct_pipelines.store.embedded.account import Account
from dct_pipelines.store.embedded.binaries import MAJOR
from dct_pipelines.store.embedded.place import NAME, PORT, Place

MIN_FREE_MIB = 64
CONFIGURATION = """\
# Written by dct at every start. Put settings of your own into dct.conf beside this file.
listen_addresses = ''
port = {port}
unix_socket_directories = '"{socket_directory}"'
unix_socket_permissions = 0700
max_connections = 300
shared_buffers = 64MB
max_wal_size = 512MB
min_wal_size = 80MB
fsync = on
synchronous_commit = on
max_parallel_workers_per_gather = 0
io_method = sync
autovacuum_naptime = 30s
jit = off
logging_collector = on
log_directory = 'log'
log_filename = 'postgres-%a.log'
log_truncate_on_rotation = on
log_rotation_age = 1d
log_min_messages = warning
lc_messages = 'C'
timezone = 'UTC'
include_if_exists = 'dct.conf'
"""


@dataclass(frozen=True)
class Launch:
    """One start of the server of `place` by a holder of both locks; `life` is the life lock's descriptor."""

    place: Place
    account: Account
    programs: Path
    life: int
    timeout_seconds: float

    def run(self) -> None:
        """Bring the server up; raise what stands in the way."""
        self.account.own_private(self.place.socket_directory)
        self._require_space()
        if not (self.place.data / "PG_VERSION").exists():
            self._initialise()
        self._require_version()
        self._configure()
        self._remove_remains()
        self._start()

    def _require_space(self) -> None:
        free = shutil.disk_usage(self.place.directory).free >> 20
        if free < MIN_FREE_MIB:
            raise DatabaseUnavailable(
                f"only {free} MiB are free under {self.place.directory}; to start it needs {MIN_FREE_MIB} MiB"
            )

    def _initialise(self) -> None:
        scratch = self.place.directory / "data.new"
        shutil.rmtree(scratch, ignore_errors=True)
        self.account.own_private(scratch)
        options = ["-U", NAME, "--auth=trust", "--encoding=UTF8", "--no-instructions"]
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"]
        self._call("initdb", "-D", str(scratch), *options, *locale)
        if self.place.data.exists():
            self.place.data.rename(self.place.directory / f"data.broken-{time.time_ns()}")
        scratch.rename(self.place.data)

    def _require_version(self) -> None:
        found = (self.place.data / "PG_VERSION").read_text().strip()
        if found != str(MAJOR):
            raise EmbeddedPostgresError(
                f"{self.place.data} was made by PostgreSQL {found}, this release brings {MAJOR}: back "
                "up with the release that made it (`dct backup`), move it away, and `dct restore`"
            )

    def _configure(self) -> None:
        socket_directory = str(self.place.socket_directory).replace("'", "''")
        text = CONFIGURATION.format(port=PORT, socket_directory=socket_directory)
        scratch = self.place.directory / "postgresql.conf.new"
        scratch.write_text(text)
        scratch.chmod(0o644)
        scratch.replace(self.place.data / "postgresql.conf")

    def _remove_remains(self) -> None:
        """Safe because we hold the life lock: the server that left these files is gone."""
        lock_file = self.place.socket.with_name(f"{self.place.socket.name}.lock")
        for remains in (self.place.data / "postmaster.pid", self.place.socket, lock_file, self._log):
            remains.unlink(missing_ok=True)

    @property
    def _log(self) -> Path:
        return self.place.data / "start.log"

    def _start(self) -> None:
        wait = ["-w", "-t", str(int(self.timeout_seconds))]
        self._call("pg_ctl", "-D", str(self.place.data), "-l", str(self._log), *wait, "start")

    def _call(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs in a bare environment; its children inherit the life lock."""
        argv: Sequence[str] = [str(self.programs / program), *arguments]
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            pass_fds=(self.life,),
            start_new_session=True,
            check=False,
            **self.account.process_options(),
        )
        if done.returncode:
            log = self._log.read_bytes()[-1500:] if self._log.exists() else b""
            said = b"\n".join(
                part.strip() for part in (done.stderr[-800:], done.stdout[-300:], log) if part.strip()
            )
            raise EmbeddedPostgresError(f"{program} failed: {said.decode(errors='replace')}")


def create_database(place: Place) -> None:
    """Make our database unless it is there."""
    connection = psycopg2.connect(
        host=str(place.socket_directory), port=PORT, user=NAME, dbname="postgres", connect_timeout=5
    )
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select 1 from pg_database where datname = %s", (NAME,))
            if not cursor.fetchone():
                # A starter that was killed may have left the server doing just this.
                with suppress(DuplicateDatabase, UniqueViolation):
                    cursor.execute(f"create database {NAME}")
    finally:
        connection.close()
