"""How a dump gets into a server: by `pg_restore` alone, or as a script of its that `psql` runs.

`pg_restore` begins with settings that its own version knows, and ends at the first that the server refuses:
one that is newer than the server cannot speak to it, and an older one cannot read the dump. A script can
leave that setting out.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO

from dct_pipelines.store.dumps.programs import Server, newest, talking
from dct_pipelines.store.dumps.taking import CHUNK_BYTES
from dct_pipelines.store.embedded.binaries import MAJOR

Way = Callable[[Server, IO[bytes]], None]
"""Restores a dump into a server, whole or not at all. `BackupUnusable` says why it could not."""
REFUSED = b"SET transaction_timeout = 0;\n"
"""What `pg_restore` says from 17 on, and no older server knows."""
KNOWS_ALL = 17
PREAMBLE = (b"--", b"\\restrict", b"SET ", b"SELECT pg_catalog.set_config(", b"\n")
"""How the lines begin that come before the first thing that is made. Each stands alone in its line."""
AS_IT_WAS = ("--no-owner", "--no-privileges")


def way_to(server: Server) -> Way:
    """How a dump gets into this server. InvalidInput where a program is missing for it: what to install."""
    is_old = server.major < KNOWS_ALL
    # with TLS only the system's programs speak, which may be too old for the dump
    way = by_script if is_old or (server.tells_tls and server.major <= MAJOR) else directly
    if way is by_script:
        server.require_reader_of_scripts()
    else:
        server.command("pg_restore")
    return way


def directly(server: Server, dump: IO[bytes]) -> None:
    """`pg_restore` speaks to the server."""
    command = server.command("pg_restore", "--single-transaction", "--exit-on-error", *AS_IT_WAS)
    with talking(command, server.variables(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None  # noqa: S101 (it is a pipe)
        try:
            shutil.copyfileobj(dump, process.stdin, CHUNK_BYTES)
        except BrokenPipeError:
            process.wait()  # it says itself why it ended


def by_script(server: Server, dump: IO[bytes]) -> None:
    """`pg_restore` writes a script, and `psql` speaks to the server.

    `psql` gets to the end of its script only after `pg_restore` has ended well: half of one is not committed.
    """
    how = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--file=-"]
    running = server.command("psql", *how)
    with talking(running, server.variables(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as psql:
        assert psql.stdin is not None  # noqa: S101 (it is a pipe)
        with suppress(_Ended):
            _write(newest("pg_restore", "--file=-", *AS_IT_WAS), server.variables(), dump, psql.stdin)


def understood(script: IO[bytes]) -> Iterator[bytes]:
    """The script in pieces, without the setting that older servers refuse.

    Only lines before the first thing that is made are looked at: the same words further on may be data.
    """
    while (line := script.readline()).startswith(PREAMBLE) and line != REFUSED:
        yield line
    if line != REFUSED:
        yield line
    while piece := script.read(CHUNK_BYTES):
        yield piece


class _Ended(Exception):
    """Whoever the script is written to has ended, and says itself why."""


def _write(command: list[str], variables: dict[str, str], dump: IO[bytes], target: IO[bytes]) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with talking(command, variables, **pipes) as process:
        assert process.stdin is not None  # noqa: S101 (it is a pipe)
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        with ThreadPoolExecutor(1) as beside:
            fed = beside.submit(_feed, dump, process.stdin)
            try:
                for piece in understood(process.stdout):
                    _hand_on(piece, target)
            except BaseException:
                process.kill()  # so that the thread ends, too
                raise
        fed.result()


def _feed(dump: IO[bytes], target: IO[bytes]) -> None:
    with suppress(BrokenPipeError), target:  # `pg_restore` says itself why it ended
        shutil.copyfileobj(dump, target, CHUNK_BYTES)


def _hand_on(piece: bytes, target: IO[bytes]) -> None:
    try:
        target.write(piece)
    except BrokenPipeError as error:
        raise _Ended from error
