"""The programs of PostgreSQL that dump and restore, and how they find the server without a secret being seen.

A server of one's own may be newer than the programs of the wheel, or ask for TLS, which those do not speak:
then the ones of the system are used, if they are there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from psycopg2.extensions import make_dsn
from sqlalchemy import Connection

from dct_pipelines.domain.errors import BackupUnusable, EmbeddedPostgresError, InvalidInput
from dct_pipelines.store.embedded.binaries import find_binaries

KNOWN = (
    "host",
    "hostaddr",
    "port",
    "user",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "options",
)
"""Parameters of a connection that every version of the programs knows. The password is none of them."""
WITHOUT_TLS = frozenset({"disable", "allow", "prefer"})
SINCE_MINOR = {14: 19, 15: 14, 16: 10, 17: 6}
"""The first release of each major version whose `psql` knows `\\restrict`."""
LAST_WORDS = 2000


@dataclass(frozen=True)
class Server:
    """Where the database is, and of which major version. The password does not print itself.

    `session` is what the programs are called there, and nobody else.
    """

    major: int
    parameters: dict[str, str]
    password: str | None = field(repr=False)
    is_embedded: bool
    session: str = field(default_factory=lambda: f"dct program {uuid4()}")

    def command(self, program: str, *arguments: str) -> list[str]:
        """The argument list of a program that speaks to the server."""
        return [str(self._program(program)), *arguments, "--dbname", make_dsn(**self.parameters)]

    def require_reader_of_scripts(self) -> None:
        """InvalidInput where there is no `psql`, or one that ends at the first line of a script of today."""
        program = self._program("psql")
        major, minor = _version(program)
        if minor < SINCE_MINOR.get(major, 0):
            raise InvalidInput(
                f"{program} is of PostgreSQL {major}.{minor} and does not know `\\restrict`, with which "
                f"scripts of pg_restore begin: update the client programs to "
                f"{major}.{SINCE_MINOR[major]} or newer"
            )

    @property
    def tells_tls(self) -> bool:
        """Whether it wants TLS, which the programs of the wheel do not speak."""
        return self.parameters.get("sslmode", "prefer") not in WITHOUT_TLS

    def variables(self) -> dict[str, str]:
        """The environment of the program: nothing of ours, and the password, which arguments would show."""
        bare = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "PGCONNECT_TIMEOUT": "10"}
        bare["PGAPPNAME"] = self.session
        return bare | ({"PGPASSWORD": self.password} if self.password else {})

    def _program(self, name: str) -> Path:
        """That of the wheel where it will do, as it is the one that is tested; else one of the system."""
        found = _of_the_system(name) if self.tells_tls else _anywhere(name)
        for program in found:
            if self.is_embedded or _major(program) >= self.major:
                return program
        raise InvalidInput(
            f"there is no {name} here that can speak to the server (PostgreSQL {self.major}"
            f"{', with TLS' if self.tells_tls else ''}): install the client programs of that version or newer"
        )


def newest(program: str, *arguments: str) -> list[str]:
    """The argument list of a program that speaks to no server: the newest reads the files of all others."""
    if found := list(_anywhere(program)):
        return [str(max(found, key=_major)), *arguments]
    raise InvalidInput(f"there is no {program} here: install the client programs of PostgreSQL")


def server_of(connection: Connection, *, is_embedded: bool) -> Server:
    """The server of a connection, as the driver itself found it."""
    info: Any = connection.connection.dbapi_connection.info  # type: ignore[union-attr]
    given = {name: value for name, value in info.dsn_parameters.items() if name in KNOWN and value}
    given = {name: value for name, value in given.items() if (name, value) != ("sslmode", "prefer")}
    return Server(info.server_version // 10_000, given, info.password, is_embedded)


@contextmanager
def talking(
    command: list[str], variables: dict[str, str], **streams: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the block, and raise what it complained of if it did not end well."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, env=variables, cwd="/", stderr=said, start_new_session=True, **streams
        )
        with process:  # closes its pipes and waits for it
            try:
                yield process
            except BaseException:
                process.kill()
                raise
            finally:
                if process.stdin is not None:
                    with suppress(BrokenPipeError):  # it has ended, and says itself why
                        process.stdin.close()
        code = process.returncode
        if code != 0:
            raise BackupUnusable(f"{Path(command[0]).name} failed (exit code {code}): {_end_of(said)}")


def _end_of(said: IO[bytes]) -> str:
    said.seek(0)
    return said.read()[-LAST_WORDS:].decode(errors="replace").strip() or "it said nothing"


def _anywhere(name: str) -> Iterator[Path]:
    yield from _of_the_wheel(name)
    yield from _of_the_system(name)


def _of_the_system(name: str) -> Iterator[Path]:
    if found := shutil.which(name):
        yield Path(found)


def _of_the_wheel(name: str) -> Iterator[Path]:
    try:
        program = find_binaries() / name
    except EmbeddedPostgresError:
        return
    if program.exists():
        yield program


def _major(program: Path) -> int:
    return _version(program)[0]


def _version(program: Path) -> tuple[int, int]:
    said = subprocess.run([str(program), "--version"], capture_output=True, check=False).stdout
    found = re.search(rb"(\d+)(?:\.(\d+))?", said)
    return (int(found.group(1)), int(found.group(2) or 0)) if found else (0, 0)
