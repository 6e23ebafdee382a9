"""Dead letters: what providers sent and nobody could understand, kept as it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.domain.listener import DeadLetter
from dct_pipelines.store.tables import context_library, dead_letters

LONGEST_RAW = 256 * 1024


@dataclass(frozen=True)
class StoredLetter:
    """A dead letter and how often the same one came."""

    id: UUID
    item: str | None
    key: str
    raw: str
    why: str
    count: int
    received_at: datetime
    last_received_at: datetime


def store(connection: Connection, connection_id: UUID, letters: Sequence[DeadLetter], now: datetime) -> None:
    """Keep them; one that came before is counted."""
    for letter in letters:
        statement = insert(dead_letters).values(
            connection_id=connection_id,
            item_id=letter.item_id,
            key=letter.key,
            raw=letter.raw[:LONGEST_RAW],
            why=letter.why,
            received_at=now,
            last_received_at=now,
        )
        again = {"why": letter.why, "count": dead_letters.c.count + 1, "last_received_at": now}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["connection_id", "key"], set_=again)
        )


def of_connection(connection: Connection, connection_id: UUID, limit: int = 1000) -> list[StoredLetter]:
    """The newest letters of a connection, newest first."""
    statement = (
        select(dead_letters, context_library.c.name.label("item"))
        .outerjoin(context_library, context_library.c.id == dead_letters.c.item_id)
        .where(dead_letters.c.connection_id == connection_id)
        .order_by(dead_letters.c.last_received_at.desc())
        .limit(limit)
    )
    return [
        StoredLetter(**{name: row._mapping[name] for name in StoredLetter.__dataclass_fields__})
        for row in connection.execute(statement)
    ]


def discard(connection: Connection, connection_id: UUID, letter_ids: Sequence[UUID]) -> int:
    """Forget letters of a connection; how many there were."""
    statement = delete(dead_letters).where(
        dead_letters.c.connection_id == connection_id, dead_letters.c.id.in_(letter_ids)
    )
    return connection.execute(statement).rowcount
