"""How a server is: what a connection to it meets, and which process it is."""

from __future__ import annotations

import os
import signal
from enum import StrEnum
from typing import NamedTuple

import psycopg2

from dct_pipelines.domain.errors import EmbeddedPostgresError
from dct_pipelines.store.embedded.account import Account
from dct_pipelines.store.embedded.place import NAME, PORT, Place


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


class Meeting(NamedTuple):
    """What a connection met, and the server's words if it was refused."""

    state: ServerState
    said: str = ""


def meet(place: Place) -> Meeting:
    """Ask by a real connection (4 ms): that the socket accepts says nothing about the server behind it."""
    if not place.socket.exists():
        return Meeting(ServerState.DOWN, "there is no socket")
    if place.socket_directory.lstat().st_uid != Account.for_this_process().uid:
        raise EmbeddedPostgresError(f"{place.socket_directory} belongs to somebody else; remove it")
    host = str(place.socket_directory)
    try:
        psycopg2.connect(host=host, port=PORT, user=NAME, dbname=NAME, connect_timeout=5).close()
    except psycopg2.OperationalError as refusal:
        said = " ".join(str(refusal).split())
        state = next((state for words, state in REFUSALS.items() if words in said), ServerState.DOWN)
        return Meeting(state, said)
    return Meeting(ServerState.UP)


def server_pid(place: Place) -> int | None:
    """Believe `postmaster.pid` only if that process works in our data directory, as PostgreSQL's does."""
    import psutil  # not by whoever finds a server that answers

    try:
        pid = int((place.data / "postmaster.pid").read_text().splitlines()[0])
        return pid if psutil.Process(pid).cwd() == str(place.data.resolve()) else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def interrupt(place: Place) -> None:
    """Ask for a fast shutdown: SIGTERM's smart one waits for pooled clients, which never leave."""
    if (pid := server_pid(place)) is not None:
        os.kill(pid, signal.SIGINT)
