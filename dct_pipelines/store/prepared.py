"""Statements that each session of the database parses and plans once, for those that every action sends.

A pooler in front of the database must keep a client on its session (as our `search_path` needs, too).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg2
from sqlalchemy import BindParameter, Connection, Select
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import NullType

from dct_pipelines.store.failures import explain

_DOLLARS = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class Prepared:
    """One statement, of any form that SQLAlchemy knows; `name` is its own among all that are prepared.

    Parameters have the types of the columns that they are compared with or written to, else PostgreSQL infers
    them. SQLAlchemy compiles it once; from then on the driver is spoken to, which is half the work.
    """

    def __init__(self, name: str, statement: ClauseElement) -> None:
        compiled: Any = statement.compile(dialect=_DOLLARS)
        self._parameters: dict[str, BindParameter[Any]] = {
            key: compiled.binds[key] for key in compiled.positiontup
        }
        types = ", ".join(map(_type_of, self._parameters.values()))
        given = ", ".join(f"%({key})s" for key in self._parameters)
        self._name = name
        self._columns = tuple(statement.selected_columns) if isinstance(statement, Select) else ()
        self._prepare = f"PREPARE {name} ({types}) AS {compiled}"
        self._execute = f"EXECUTE {name} ({given})"
        self._ways: tuple[Dialect, list[_Way], list[_Process | None]] | None = None

    def one(self, connection: Connection, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Send it, after its first parse on this connection; its one row by name, None when there is none.

        Results are typed as the driver types them. KeyError when a parameter without a value of its own is
        not among `values`.
        """
        bound = {
            key: value if process is None else process(value)
            for key, process, parameter in self._ways_of(connection.dialect)[1]
            for value in (values[key] if parameter.required else values.get(key, parameter.value),)
        }
        if self._name not in connection.info:
            connection.exec_driver_sql(self._prepare)
            connection.info[self._name] = True
        with _in_our_words(connection), _cursor(connection) as cursor:
            cursor.execute(self._execute, bound)
            row = cursor.fetchone()
            return None if row is None else dict(zip(_names(cursor), row, strict=True))

    def one_typed(self, connection: Connection, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """The same for a query, with values as its columns have them."""
        row = self.one(connection, values)
        if row is None:
            return None
        processes = self._ways_of(connection.dialect)[2]
        return {
            column.name: value if process is None else process(value)
            for column, process, value in zip(self._columns, processes, row.values(), strict=True)
        }

    def _ways_of(self, dialect: Dialect) -> tuple[Dialect, list[_Way], list[_Process | None]]:
        """How values go to the driver and come back, looked up once for a process's engine."""
        if self._ways is None or self._ways[0] is not dialect:
            kinds = {key: one.type.dialect_impl(dialect) for key, one in self._parameters.items()}
            there: list[_Way] = [
                (key, kind.bind_processor(dialect), self._parameters[key]) for key, kind in kinds.items()
            ]
            back: list[_Process | None] = [
                one.type.dialect_impl(dialect).result_processor(dialect, None) for one in self._columns
            ]
            self._ways = dialect, there, back
        return self._ways


@contextmanager
def _in_our_words(connection: Connection) -> Iterator[None]:
    """What SQLAlchemy does with an error of the driver, which is spoken to without it here."""
    try:
        yield
    except psycopg2.Error as error:
        is_gone = connection.dialect.is_disconnect(error, None, None)
        if is_gone:
            connection.invalidate(error)
        raise explain(error, disconnected=is_gone) or error from error


def _cursor(connection: Connection) -> Any:
    driver: Any = connection.connection.driver_connection
    return driver.cursor()


def _names(cursor: Any) -> Iterator[str]:
    return (column.name for column in cursor.description)


_Process = Callable[[Any], Any]
_Way = tuple[str, _Process | None, BindParameter[Any]]


def _type_of(parameter: BindParameter[Any]) -> str:
    if isinstance(parameter.type, NullType):
        return "unknown"
    return str(parameter.type.compile(dialect=_DOLLARS))
