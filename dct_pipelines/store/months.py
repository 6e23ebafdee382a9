"""Making the partition of a month, for which PostgreSQL reads all of the default one while everybody waits.

Unless it knows what is not in it. So a small default partition is read, and of a large one it is promised,
and then proven while work goes on, that it has nothing of the month.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, text

from dct_pipelines.domain.retention import next_month
from dct_pipelines.store.partitions import Payload, be_short, name_of

_PROMISE = "nothing_of_"
_PROMISES = text(
    "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(:name) AND conname LIKE :like"
)


def make(connection: Connection, payload: Payload, month: datetime) -> int:
    """Make the partition of a month; what of it came into the default one moves there. Returns how much.

    Reads all of the default partition while everybody waits: for one that is small.
    """
    stray = payload.default
    be_short(connection)
    connection.execute(text(f"LOCK TABLE {payload.place} IN ACCESS EXCLUSIVE MODE"))
    _create(connection, payload, month)
    part = payload.part(name_of(payload, month))
    gone = delete(stray).where(*_of_month(payload, stray, month)).returning(*stray.c).cte("gone")
    moved = insert(part).from_select([one.name for one in stray.c], select(*gone.c))
    rows = connection.execute(moved).rowcount
    _attach(connection, payload, month)
    return rows


def promise(connection: Connection, payload: Payload, month: datetime) -> str:
    """Have the default partition refuse what is of a month, from now on; returns the promise's name.

    Until it is withdrawn or the month is made: so only for a month that is a while ahead. Reads nothing.
    """
    be_short(connection)
    at, until = payload.moment, next_month(month)
    outside = f"{at} < '{month.isoformat()}' OR {at} >= '{until.isoformat()}'"
    name = f"{_PROMISE}{name_of(payload, month)}"
    default = payload.default.fullname
    connection.execute(text(f"ALTER TABLE {default} ADD CONSTRAINT {name} CHECK ({outside}) NOT VALID"))
    return name


def prove(connection: Connection, payload: Payload, promise: str) -> None:
    """Read the default partition to know that what is promised was so before; nobody waits for that."""
    connection.execute(text(f"ALTER TABLE {payload.default.fullname} VALIDATE CONSTRAINT {promise}"))


def make_proven(connection: Connection, payload: Payload, month: datetime, promise: str) -> bool:
    """Make the partition of a month of which the default one is known to have nothing: reads nothing."""
    be_short(connection)
    _create(connection, payload, month)
    _attach(connection, payload, month)
    return withdraw(connection, payload, promise)


def promises(connection: Connection, payload: Payload) -> Sequence[str]:
    """The names of promises that nobody has withdrawn."""
    return connection.scalars(_PROMISES, {"name": payload.default.fullname, "like": f"{_PROMISE}%"}).all()


def withdraw(connection: Connection, payload: Payload, promise: str) -> bool:
    """Have the default partition take everything again; True."""
    be_short(connection)
    connection.execute(text(f"ALTER TABLE {payload.default.fullname} DROP CONSTRAINT {promise}"))
    return True


def _create(connection: Connection, payload: Payload, month: datetime) -> None:
    name = name_of(payload, month)
    connection.execute(text(f"CREATE TABLE dct.{name} (LIKE {payload.place} INCLUDING ALL)"))


def _attach(connection: Connection, payload: Payload, month: datetime) -> None:
    bounds = f"FROM ('{month.isoformat()}') TO ('{next_month(month).isoformat()}')"
    part = f"dct.{name_of(payload, month)}"
    connection.execute(text(f"ALTER TABLE {payload.place} ATTACH PARTITION {part} FOR VALUES {bounds}"))


def strays(connection: Connection, payload: Payload, month: datetime) -> int:
    """How many rows of a month are in the default partition."""
    its = _of_month(payload, payload.default, month)
    return connection.scalar(select(func.count()).where(*its)) or 0


def _of_month(payload: Payload, part: Table, month: datetime) -> tuple[ColumnElement[bool], ...]:
    at = part.c[payload.moment]
    return at >= month, at < next_month(month)
