"""The one total order of events and of changes of triggers.

Everything that assigns an event's `seq`, or says from which `seq` on a trigger version or a snapshot is in
force, holds this row's lock until it commits. So order of commit = order of `seq`, and "which trigger
version, which snapshot saw this event" has one exact answer for ever (docs/decisions/0002). Providers are
read outside the lock; only storing and deciding happens inside.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.store.tables import intake_order


@dataclass(frozen=True)
class Order:
    """`next_seq` is the place of the next event; `trigger_generation` grows with each change of triggers.

    `is_restored`: the deployment comes from a backup, and nobody has said yet that work may start again.
    """

    next_seq: int
    trigger_generation: int
    is_restored: bool = False


def lock_order(connection: Connection) -> Order:
    """Take the lock until the end of the transaction, and say where the order stands."""
    row = connection.execute(select(intake_order).with_for_update()).one_or_none()
    if row is None:
        connection.execute(insert(intake_order).values(id=1).on_conflict_do_nothing())
        row = connection.execute(select(intake_order).with_for_update()).one()
    return Order(row.next_seq, row.trigger_generation, row.restored_at is not None)


def advance(connection: Connection, *, seqs: int = 0, generation: bool = False) -> None:
    """Use up `seqs` places, or start a new generation of triggers. Only under `lock_order`."""
    connection.execute(
        update(intake_order).values(
            next_seq=intake_order.c.next_seq + seqs,
            trigger_generation=intake_order.c.trigger_generation + int(generation),
        )
    )


def current_generation(connection: Connection) -> int:
    """The generation of triggers, without the lock: for caches that may be one step behind."""
    return connection.scalar(select(intake_order.c.trigger_generation)) or 1
