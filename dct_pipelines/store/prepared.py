"""Statements that each session of the database parses and plans once, for those that every action sends.

A pooler in front of the database must keep a client on its session (as our `search_path` needs, too).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BindParameter, Connection, CursorResult, bindparam, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import NullType

_DOLLARS = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class Prepared:
    """One statement, of any form that SQLAlchemy knows; `name` is its own among all that are prepared.

    Parameters have the types of the columns that they are compared with or written to, else PostgreSQL infers
    them.
    """

    def __init__(self, name: str, statement: ClauseElement) -> None:
        compiled: Any = statement.compile(dialect=_DOLLARS)
        parameters = {key: compiled.binds[key] for key in compiled.positiontup}
        types = ", ".join(map(_type_of, parameters.values()))
        given = ", ".join(f":{key}" for key in parameters)
        self._name = name
        self._prepare = f"PREPARE {name} ({types}) AS {compiled}"
        self._execute = text(f"EXECUTE {name} ({given})").bindparams(
            *(bindparam(key, one.value, one.type, required=one.required) for key, one in parameters.items())
        )

    def execute(self, connection: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Send it, after its first parse on this connection; results are typed as the driver types them."""
        if self._name not in connection.info:
            connection.exec_driver_sql(self._prepare)
            connection.info[self._name] = True
        return connection.execute(self._execute, values)


def _type_of(parameter: BindParameter[Any]) -> str:
    if isinstance(parameter.type, NullType):
        return "unknown"
    return str(parameter.type.compile(dialect=_DOLLARS))
