"""Find the embedded server of a home, or start it; stop it; say how it is."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil
import psycopg2
from sqlalchemy.engine import URL

from dct_pipelines.domain.errors import DatabaseUnavailable, EmbeddedPostgresError
from dct_pipelines.store.embedded.account import Account
from dct_pipelines.store.embedded.binaries import binaries_for
from dct_pipelines.store.embedded.launch import NAME, Launch, create_database
from dct_pipelines.store.embedded.locks import PAUSE_SECONDS, held, open_lock, require_local, try_lock
from dct_pipelines.store.embedded.place import PORT, SHARED, Place, find_place, prepare_place


class ServerState(StrEnum):
    """What a connection to the server meets."""

    UP = "up"
    STARTING = "starting"
    STOPPING = "stopping"
    """It was told to stop and waits, perhaps for ever, until idle clients leave."""
    EMPTY = "empty"
    """It runs, but its starter was killed before it made our database."""
    DOWN = "down"


REFUSALS = {
    "shutting down": ServerState.STOPPING,
    "starting up": ServerState.STARTING,
    "not yet accepting": ServerState.STARTING,
    "recovery mode": ServerState.STARTING,
    f'database "{NAME}" does not exist': ServerState.EMPTY,
    "too many clients": ServerState.UP,
    "connection slots": ServerState.UP,
}
"""By the server's words, since libpq gives no code when a connection is refused; `lc_messages` is C."""


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
        account = Account.for_this_process()
        self._own_home(account)
        place = find_place(self.home, account)
        if place is None or _meet(place) is not ServerState.UP:
            deadline = time.monotonic() + self._timeout_seconds
            with held(self.home / "start.lock", deadline):
                place = prepare_place(self.home, account, self._shared)
                self._bring_up(place, account, deadline)
        return _url(place)

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
            _interrupt(place)
            while not try_lock(life):
                if time.monotonic() > deadline:
                    raise EmbeddedPostgresError(
                        f"the server of {place.data} does not stop; see the log files in it"
                    )
                time.sleep(PAUSE_SECONDS)
        return True

    def status(self) -> ServerStatus:
        """Say how the server is, without starting it."""
        place = self._place()
        if place is None:
            return ServerStatus(ServerState.DOWN, None, None, None)
        return ServerStatus(_meet(place), _server_pid(place), place.data, place.socket_directory)

    def pid(self) -> int | None:
        """Return the process id of the running server, never one that now belongs to something else."""
        place = self._place()
        return _server_pid(place) if place else None

    def _place(self) -> Place | None:
        return find_place(self.home, Account.for_this_process()) if self.home.is_dir() else None

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
        patience = deadline - self._timeout_seconds / 2
        with open_lock(place.life_lock) as life:
            while not try_lock(life):
                state = _meet(place)
                if state is ServerState.EMPTY:
                    create_database(place)
                if state is ServerState.UP:
                    return
                if state is ServerState.STOPPING or (
                    state is ServerState.DOWN and time.monotonic() > patience
                ):
                    _interrupt(place)
                if time.monotonic() > deadline:
                    raise DatabaseUnavailable(
                        f"an old server of {place.data} is {state} and does not go; see its log"
                    )
                time.sleep(PAUSE_SECONDS)
            require_local(place.directory)
            programs = binaries_for(account, self._shared)
            Launch(place, account, programs, life, self._timeout_seconds).run()
            create_database(place)


def _url(place: Place) -> str:
    query = {"host": str(place.socket_directory), "port": str(PORT)}
    return URL.create("postgresql+psycopg2", NAME, database=NAME, query=query).render_as_string(
        hide_password=False
    )


def _meet(place: Place) -> ServerState:
    """Ask by a real connection (4 ms): that the socket accepts says nothing about the server behind it."""
    if not place.socket.exists():
        return ServerState.DOWN
    if place.socket_directory.lstat().st_uid != Account.for_this_process().uid:
        raise EmbeddedPostgresError(f"{place.socket_directory} belongs to somebody else; remove it")
    try:
        psycopg2.connect(
            host=str(place.socket_directory), port=PORT, user=NAME, dbname=NAME, connect_timeout=5
        ).close()
    except psycopg2.OperationalError as refusal:
        return next((state for words, state in REFUSALS.items() if words in str(refusal)), ServerState.DOWN)
    return ServerState.UP


def _server_pid(place: Place) -> int | None:
    """Believe `postmaster.pid` only if that process works in our data directory, as PostgreSQL's does."""
    try:
        pid = int((place.data / "postmaster.pid").read_text().splitlines()[0])
        return pid if psutil.Process(pid).cwd() == str(place.data) else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def _interrupt(place: Place) -> None:
    """Ask for a fast shutdown: SIGTERM's smart one waits for pooled clients, which never leave."""
    if (pid := _server_pid(place)) is not None:
        os.kill(pid, signal.SIGINT)
