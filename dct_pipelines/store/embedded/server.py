"""Find the embedded server of a home, or start it; stop it; say how it is."""

from __future__ import annotations

import errno
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from sqlalchemy.engine import URL

from dct_pipelines.domain.errors import DatabaseUnavailable, EmbeddedPostgresError
from dct_pipelines.store.embedded.account import Account
from dct_pipelines.store.embedded.locks import PAUSE_SECONDS, held, open_lock, require_local, try_lock
from dct_pipelines.store.embedded.place import NAME, POINTER, PORT, SHARED, Place, find_place, prepare_place
from dct_pipelines.store.embedded.probe import ServerState, interrupt, meet, server_pid

SHORTAGES = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM}


@dataclass(frozen=True)
class ServerStatus:
    """For `dct status` and `dct db status`."""

    state: ServerState
    pid: int | None
    data: Path | None
    socket_directory: Path | None


class EmbeddedPostgres:
    """The server that belongs to one `DCT_HOME`. Making this object does nothing; threads may share it.

    `shared` is where root's server goes if its user cannot enter the home; only tests give another.
    """

    def __init__(self, home: Path, *, shared: Path = SHARED, timeout_seconds: float = 60) -> None:
        self.home = home.expanduser().resolve()
        self._shared = shared
        self._timeout_seconds = timeout_seconds

    def ensure(self) -> str:
        """Return the server's URL, after starting it if it does not answer (1 s the first time, then 0.1 s).

        Raises `EmbeddedPostgresError` if it can never start so, `DatabaseUnavailable` if it may later.
        """
        try:
            return _url(self._find_or_start(Account.for_this_process()))
        except (OSError, psycopg2.Error) as error:
            kind = DatabaseUnavailable if _passes(error) else EmbeddedPostgresError
            raise kind(f"the embedded PostgreSQL of {self.home} cannot be used: {error}") from error

    def connect_arguments(self) -> dict[str, str]:
        """Arguments of libpq for the place where the server is or was; empty before its first start."""
        place = self._place()
        return {"host": str(place.socket_directory), "port": str(PORT)} if place else {}

    def stop(self) -> bool:
        """Stop the server, ending its clients' sessions; False if none ran."""
        place = self._place()
        if place is None or not place.life_lock.exists():
            return False
        deadline = time.monotonic() + self._timeout_seconds
        with held(self.home / "start.lock", deadline), open_lock(place.life_lock) as life:
            if try_lock(life):
                return False
            interrupt(place)
            while not try_lock(life):
                if time.monotonic() > deadline:
                    raise EmbeddedPostgresError(
                        f"the server of {place.data} does not stop; see the log files in it"
                    )
                time.sleep(PAUSE_SECONDS)
        return True

    def discard(self) -> None:
        """Stop the server and delete its data, which may lie outside of the home: for a home thrown away."""
        self.stop()
        place = self._place()
        if place is not None and place.directory.parent in (self.home, self._shared):
            shutil.rmtree(place.directory, ignore_errors=True)
        (self.home / POINTER).unlink(missing_ok=True)

    def status(self) -> ServerStatus:
        """Say how the server is, without starting it."""
        place = self._place()
        if place is None:
            return ServerStatus(ServerState.DOWN, None, None, None)
        return ServerStatus(meet(place).state, server_pid(place), place.data, place.socket_directory)

    def pid(self) -> int | None:
        """Return the process id of the running server, never one that now belongs to something else."""
        place = self._place()
        return server_pid(place) if place else None

    def _place(self) -> Place | None:
        return find_place(self.home, Account.for_this_process()) if self.home.is_dir() else None

    def _find_or_start(self, account: Account) -> Place:
        self._own_home(account)
        place = find_place(self.home, account)
        if place is None or meet(place).state is not ServerState.UP:
            deadline = time.monotonic() + self._timeout_seconds
            with held(self.home / "start.lock", deadline):
                place = prepare_place(self.home, account, self._shared)
                self._bring_up(place, account, deadline)
        return place

    def _own_home(self, account: Account) -> None:
        if not self.home.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            self.home.chmod(0o711 if account.is_other else 0o700)
        owner = self.home.stat().st_uid
        if owner != os.geteuid():
            raise EmbeddedPostgresError(
                f"{self.home} belongs to user {owner} and you are user {os.geteuid()}: run dct as that user, "
                "set DCT_HOME to a directory of your own, or set DCT_DATABASE_URL"
            )

    def _bring_up(self, place: Place, account: Account, deadline: float) -> None:
        """Under the start lock: wait for an old server to answer or to go, and start one if it went.

        One that runs and cannot be reached (its socket was swept away) is stopped after half of the time.
        """
        from dct_pipelines.store.embedded.binaries import binaries_for
        from dct_pipelines.store.embedded.launch import Launch, create_database

        patience = deadline - self._timeout_seconds / 2
        with open_lock(place.life_lock) as life:
            while not try_lock(life):
                state, said = meet(place)
                if state is ServerState.EMPTY:
                    create_database(place)
                if state is ServerState.UP:
                    return
                if state is ServerState.STOPPING or (
                    state is ServerState.DOWN and time.monotonic() > patience
                ):
                    interrupt(place)
                if time.monotonic() > deadline:
                    raise DatabaseUnavailable(f"the old server of {place.data} is {state} and stays: {said}")
                time.sleep(PAUSE_SECONDS)
            require_local(place.directory)
            programs = binaries_for(account, self._shared)
            try:
                Launch(place, account, programs, life, self._timeout_seconds).run()
            except EmbeddedPostgresError as error:
                if server_pid(place) is None:
                    raise
                raise DatabaseUnavailable(f"the server of {place.data} needs longer to recover") from error
            create_database(place)


def _passes(error: Exception) -> bool:
    """Whether the same may succeed later: the server went again, or the machine is short of something."""
    if isinstance(error, OSError):
        return error.errno in SHORTAGES
    return True


def _url(place: Place) -> str:
    query = {"host": str(place.socket_directory), "port": str(PORT)}
    return URL.create("postgresql+psycopg2", NAME, database=NAME, query=query).render_as_string(
        hide_password=False
    )
