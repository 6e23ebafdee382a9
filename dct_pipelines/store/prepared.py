"""Statements that each session of the database parses and plans once, for those that every action sends.

A pooler in front of the database must keep a client on its session (as our `search_path` needs, too).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import BindParameter, Connection, CursorResult, Select
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import NullType

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

    def execute(self, connection: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Send it, after its first parse on this connection; results are typed as the driver types them.

        KeyError when a parameter without a value of its own is not among `values`.
        """
        if self._name not in connection.info:
            connection.exec_driver_sql(self._prepare)
            connection.info[self._name] = True
        ways = self._ways_of(connection.dialect)[1]
        bound = {
            key: value if process is None else process(value)
            for key, process, parameter in ways
            for value in (values[key] if parameter.required else values.get(key, parameter.value),)
        }
        return connection.exec_driver_sql(self._execute, bound)

    def one_typed(self, connection: Connection, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """The row of a query that gives one at most, by name, with values as its columns have them."""
        row = self.execute(connection, values).one_or_none()
        if row is None:
            return None
        processes = self._ways_of(connection.dialect)[2]
        return {
            column.name: value if process is None else process(value)
            for column, process, value in zip(self._columns, processes, row, strict=True)
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


_Process = Callable[[Any], Any]
_Way = tuple[str, _Process | None, BindParameter[Any]]


def _type_of(parameter: BindParameter[Any]) -> str:
    if isinstance(parameter.type, NullType):
        return "unknown"
    return str(parameter.type.compile(dialect=_DOLLARS))
