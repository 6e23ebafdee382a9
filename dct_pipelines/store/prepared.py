"""Statements that each session of the database parses and plans once, for those that every action sends.

A pooler in front of the database must keep a client on its session (as our `search_path` needs, too).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
from sqlalchemy import BindParameter, Connection, Select
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import NullType

from dct_pipelines.store.failures import explain

UNPREPARED = frozenset({"26000", "0A000"})
"""Somebody has discarded what the session had prepared, or a table has other columns since then: on another
connection it is prepared anew. https://www.postgresql.org/docs/18/errcodes-appendix.html"""
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
        types = _listed(map(_type_of, self._parameters.values()))
        given = _listed(f"%({key})s" for key in self._parameters)
        self._name = name
        self._columns = tuple(statement.selected_columns) if isinstance(statement, Select) else ()
        self._prepare = f"PREPARE {name} {types} AS {compiled}"
        self._execute = f"EXECUTE {name} {given}"
        self._there: list[tuple[str, _Process | None, BindParameter[Any]]] | None = None
        """How each value goes to the driver, once it is known to which; all our engines speak to the same."""
        self._back: list[_Process | None] | None = None

    def one(self, connection: Connection, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Send it, after its first parse on this connection; its one row by name, None when it gives none.

        Results are typed as the driver types them. KeyError when a parameter without a value of its own is
        not among `values`.
        """
        found = self._sent(connection, values)
        return None if found is None else {column.name: value for column, value in zip(*found, strict=True)}

    def one_typed(self, connection: Connection, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """The same for a query, with values as its columns have them."""
        found = self._sent(connection, values)
        if found is None:
            return None
        described, row = found
        if self._back is None:
            dialect = connection.dialect
            self._back = [
                one.type.dialect_impl(dialect).result_processor(dialect, column.type_code)
                for one, column in zip(self._columns, described, strict=True)
            ]
        return {
            column.name: value if process is None else process(value)
            for column, process, value in zip(self._columns, self._back, row, strict=True)
        }

    def _sent(
        self, connection: Connection, values: Mapping[str, Any]
    ) -> tuple[Sequence[Any], tuple[Any, ...]] | None:
        """What the driver says of the columns, and the row."""
        if self._there is None:
            dialect = connection.dialect
            self._there = [
                (key, one.type.dialect_impl(dialect).bind_processor(dialect), one)
                for key, one in self._parameters.items()
            ]
        bound = {
            key: value if process is None else process(value)
            for key, process, parameter in self._there
            for value in (values[key] if parameter.required else values.get(key, parameter.value),)
        }
        if self._name not in connection.info:
            connection.exec_driver_sql(self._prepare)
            connection.info[self._name] = True
        with _in_our_words(connection), _cursor(connection) as cursor:
            cursor.execute(self._execute, bound)
            row = cursor.fetchone() if cursor.description else None
            return None if row is None else (cursor.description, row)


@contextmanager
def _in_our_words(connection: Connection) -> Iterator[None]:
    """What SQLAlchemy does with an error of the driver, which is spoken to without it here."""
    driver: Any = connection.connection.driver_connection
    try:
        yield
    except psycopg2.Error as error:
        is_gone = error.pgcode in UNPREPARED or connection.dialect.is_disconnect(error, driver, None)
        if is_gone:
            connection.invalidate(error)
        if meaning := explain(error, disconnected=is_gone):
            raise meaning from error
        raise


def _listed(parts: Iterable[str]) -> str:
    """In brackets, which must not be empty."""
    listed = ", ".join(parts)
    return f"({listed})" if listed else ""


def _cursor(connection: Connection) -> Any:
    driver: Any = connection.connection.driver_connection
    return driver.cursor()


_Process = Callable[[Any], Any]


def _type_of(parameter: BindParameter[Any]) -> str:
    if isinstance(parameter.type, NullType):
        return "unknown"
    return str(parameter.type.compile(dialect=_DOLLARS))
