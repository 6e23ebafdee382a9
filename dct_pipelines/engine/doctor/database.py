"""The database: does it answer, are its tables those of this release, does anything in it hang or grow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.diagnosis import Told, fail, ok, warn
from dct_pipelines.domain.restored import PAUSED
from dct_pipelines.engine.doctor.machine import free_room
from dct_pipelines.settings import Settings
from dct_pipelines.store import examining, restoring, revision
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.dumps import left_aside
from dct_pipelines.store.embedded import ServerState
from dct_pipelines.store.schema import RESTORE_AGAIN, is_cut_off, verify

LEAST_SERVER = 14
LONG_TRANSACTION = timedelta(minutes=5)
LONG_WORK = timedelta(hours=6)
"""For so long a transaction of ours may be at work: a backup of much, metrics that are computed anew."""
MANY_CONNECTIONS = 0.8
MANY_DEAD = 0.3
LEAST_DEAD = 50_000
OLD_XID = 1_000_000_000
"""Half of what PostgreSQL lets pass before it refuses writes; autovacuum keeps it at a fifth."""
CLOCK_SKEW = timedelta(seconds=5)


def look_at_server(settings: Settings, database: Database) -> Iterator[Told]:
    """The embedded server, before it is spoken to, which starts it."""
    if database.embedded is None:
        yield ok("the database is a server of your own (DCT_DATABASE_URL)")
        return
    status = database.embedded.status()
    if status.data is None or not status.data.exists():
        yield ok("the embedded database will be made by the first command that needs it")
        return
    if status.state is ServerState.UP:
        yield ok(f"the embedded database runs (process {status.pid})")
    elif status.state is ServerState.DOWN:
        yield ok("the embedded database did not run, and was started for this examination")
    else:
        yield warn(
            f"the embedded database is {status.state}", "wait, or `dct db stop`; the log is in data/log"
        )
    broken = sorted(status.data.parent.glob("data.broken-*"))
    if broken:
        yield warn(
            f"{counted(len(broken), 'directory lies', 'directories lie')} beside it with broken data "
            f"({broken[0].name}{', ...' if broken[1:] else ''})",
            f"when nothing is missed, remove them from {status.data.parent}",
        )
    if status.data.parent != settings.home:
        yield free_room(status.data.parent, "the embedded database")


def is_made(database: Database) -> bool:
    """Whether there is a database to look into: the doctor makes none."""
    if database.embedded is None:
        return True
    data = database.embedded.status().data
    return data is not None and data.exists()


def is_usable(connection: Connection) -> bool:
    """Whether the tables are at this release's revision, so that they can be looked into."""
    return revision.found(connection) == revision.newest()


def look_at_tables(connection: Connection, now: datetime) -> Iterator[Told]:
    """The server behind a connection, and the state of its tables."""
    server = examining.server(connection)
    said = f"PostgreSQL {server.version}, {server.bytes / 2**20:,.0f} MiB of data"
    if server.major < LEAST_SERVER:
        yield fail(said, f"use PostgreSQL {LEAST_SERVER} or newer")
    else:
        yield ok(said)
    yield _revision(connection)
    skew = abs(server.now - now)
    if skew > CLOCK_SKEW:
        yield fail(
            f"its clock and that of this machine are {skew.total_seconds():.0f} s apart",
            "have both machines keep their time by NTP",
        )
    used = f"{server.connections} of {server.max_connections} connections are in use"
    if server.connections > MANY_CONNECTIONS * server.max_connections:
        yield warn(used, "raise max_connections, or lower DCT_DATABASE_POOL_SIZE")
    else:
        yield ok(used)
    yield from look_at_open(server, server.now)
    yield from _tables(connection)
    yield from _set_aside(connection)


def look_for_differences(database: Database) -> Iterator[Told]:
    """What `dct db verify` says, and whether the deployment waits for somebody after a restore."""
    found = verify(database)
    for difference in found[:10]:
        yield fail(
            difference, "`dct db migrate` and `dct db optimize` mend what they can; see `dct db verify`"
        )
    if not found:
        yield ok("the tables are those of this release")
    with database.connect() as connection:
        if restoring.is_paused(connection):
            held = restoring.count_held(connection)
            are = counted(held, "execution is", "executions are")
            yield warn(f"{PAUSED}; {are} held as uncertain", "`dct restore list`")


def _revision(connection: Connection) -> Told:
    found, newest = revision.found(connection), revision.newest()
    if found == newest:
        return ok(f"the tables are at revision {newest}")
    if found is None and is_cut_off(connection):
        return fail("a restore was cut off, and every command refuses the database", RESTORE_AGAIN)
    if found is None:
        return warn("there are none of our tables yet", "`dct db migrate`")
    return fail(f"the tables are at revision {found}, this release needs {newest}", "`dct db migrate`")


def _set_aside(connection: Connection) -> Iterator[Told]:
    """What a restore has left beside a deployment; without one it is the only copy, and not to be dropped."""
    left = left_aside(connection)
    if left and revision.found(connection) is not None:
        yield warn(
            f"a restore has left what was there before in {', '.join(left)}, and the next one is refused",
            f"when nothing of it is missed: DROP SCHEMA {', '.join(left)} CASCADE",
        )


def look_at_open(server: examining.Server, now: datetime) -> Iterator[Told]:
    """Transactions that are open for long at that moment, and how old the oldest transaction id is."""
    longest = server.longest_since
    if longest is None or now - longest < LONG_TRANSACTION:
        yield ok("no transaction is open for long")
    else:
        minutes = (now - longest).total_seconds() / 60
        yield warn(
            f"a transaction of {server.longest_by or 'somebody'} is open for {minutes:.0f} minutes, and "
            "keeps dead rows from being removed",
            _how_to_end(server, now - longest),
        )
    if server.xid_age > OLD_XID:
        yield fail(
            f"the oldest transaction id is {server.xid_age:,} back: writes are refused at 2,000,000,000",
            "VACUUM (FREEZE) as the owner; look why autovacuum does not",
        )


def _how_to_end(server: examining.Server, since: timedelta) -> str:
    end = f"end it: SELECT pg_terminate_backend({server.longest_pid})"
    if not server.is_longest_ours:
        return end
    if since < LONG_WORK:
        hours = LONG_WORK // timedelta(hours=1)
        return (
            f"wait: a backup, maintenance or metrics may be at work; call the doctor again in {hours} hours"
        )
    return f"see that no backup, maintenance or metrics are at work, which it would undo; then {end}"


def _tables(connection: Connection) -> Iterator[Told]:
    dead = [
        one for one in examining.dead_rows(connection) if one.dead > max(LEAST_DEAD, MANY_DEAD * one.live)
    ]
    for one in dead:
        yield warn(
            f"{one.table} holds {one.dead:,} dead rows beside {one.live:,}",
            f"VACUUM (ANALYZE) {one.table}; a long transaction keeps them from being removed",
        )
