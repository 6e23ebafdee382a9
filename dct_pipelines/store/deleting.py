"""Deleting what is old (`store/retention.py` says what), in small transactions of some rows each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    any_,
    column,
    delete,
    func,
    literal,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from dct_pipelines.store.partitions import page_begin, pages_of
from dct_pipelines.store.retention import Rule, is_there
from dct_pipelines.store.tables import events, intake_order

_KEPT = "kept"
Window = tuple[list[ColumnElement[bool]], Any]
"""What one batch looks at, and where the next one goes on; None: this is the last."""


@dataclass(frozen=True)
class Batch:
    """What one batch deleted, by table, and how far it looked; None: there is nothing more to look at."""

    deleted: Mapping[str, int]
    upto: Any


def oldest_kept_seq(connection: Connection, month: Any) -> int:
    """The first event of the months that are kept; without one, the next that will come."""
    first = connection.scalar(select(func.min(events.c.seq)).where(events.c.observed_at >= month))
    return first or connection.scalar(select(intake_order.c.next_seq)) or 1


def find_kept(connection: Connection, rule: Rule, before: Any) -> None:
    """Gather what the rule keeps, where it says so, for as long as the connection is open.

    That is closed afterwards and not given back: the next one who had it would find the table.
    """
    if rule.kept is None:
        return
    connection.detach()
    key = ", ".join(rule.kept.key)
    made = f"CREATE TEMP TABLE {_KEPT} ({key}) AS {rule.kept.question}"
    connection.execute(text(made), {"before": before})
    connection.execute(text(f"CREATE INDEX ON {_KEPT} ({key})"))
    connection.execute(text(f"ANALYZE {_KEPT}"))


def delete_batch(connection: Connection, rule: Rule, before: Any, since: Any, size: int) -> Batch:
    """Look at `size` rows (or pages) further on than `since`, None at first; delete those that may go."""
    ahead = _pages if rule.is_walked else _oldest
    window, upto = ahead(connection, rule, since, size, before)
    deleted = (_with_executions if rule.along else _alone)(connection, rule, [rule.by < before, *window])
    return Batch({name: count for name, count in deleted.items() if count}, upto)


def count_old(connection: Connection, rule: Rule, before: Any) -> int:
    """How many rows the rule would let go."""
    statement = select(func.count()).select_from(rule.table).where(rule.by < before, *_may_go(rule))
    return connection.scalar(statement) or 0


def _oldest(connection: Connection, rule: Rule, since: Any, size: int, before: Any) -> Window:
    """The oldest rows after a moment; those of the last moment among them all together."""
    after = [] if since is None else [rule.by > since]
    last = select(rule.by).where(rule.by < before, *after).order_by(rule.by).offset(size - 1).limit(1)
    upto = connection.scalar(last)
    return (after if upto is None else [*after, rule.by <= upto]), upto


def _pages(connection: Connection, rule: Rule, since: Any, size: int, _before: Any) -> Window:
    """The next pages of the table."""
    first = since or 0
    place = _place(rule)
    window = [place >= page_begin(first), place < page_begin(first + size)]
    is_last = first + size >= pages_of(connection, rule.table.fullname)
    return window, None if is_last else first + size


def _place(rule: Rule) -> ColumnElement[Any]:
    return literal_column(f"{rule.table.fullname}.ctid")


def _alone(connection: Connection, rule: Rule, window: Sequence[ColumnElement[bool]]) -> dict[str, int]:
    """By their places: a plan for `= ANY` goes to each of them, whatever it thinks of their number."""
    place = _place(rule)
    old = _unlocked(rule, window, place.label("place")).cte("old")
    places = func.array(select(old.c.place).scalar_subquery())
    return {rule.table.name: connection.execute(delete(rule.table).where(place == any_(places))).rowcount}


def _with_executions(
    connection: Connection, rule: Rule, window: Sequence[ColumnElement[bool]]
) -> dict[str, int]:
    """By their ids, for the same reason."""
    ids = connection.scalars(_unlocked(rule, window, rule.table.c.id)).all()
    gone = {}
    for one in rule.along if ids else ():
        gone[one.name] = connection.execute(delete(one).where(_among(one.c.execution_id, ids))).rowcount
    if ids:
        its = _among(rule.table.c.id, ids)
        gone[rule.table.name] = connection.execute(delete(rule.table).where(its)).rowcount
    return gone


def _unlocked(rule: Rule, window: Sequence[ColumnElement[bool]], what: ColumnElement[Any]) -> Select[Any]:
    return select(what).where(*window, *_may_go(rule)).with_for_update(skip_locked=True, of=rule.table)


def _may_go(rule: Rule) -> list[ColumnElement[bool]]:
    conditions = [~rule.spared]
    if rule.kept is not None:
        kept = table(_KEPT, *(column(name) for name in rule.kept.key), schema="pg_temp")
        conditions.append(~is_there(*(kept.c[name] == rule.table.c[name] for name in rule.kept.key)))
    return conditions


def _among(of: Column[Any], ids: Sequence[UUID]) -> ColumnElement[bool]:
    return of == any_(literal(list(ids), ARRAY(of.type)))
