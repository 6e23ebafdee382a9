"""What is prepared once for a session is prepared anew where a session has lost it."""

from __future__ import annotations

import pytest
from sqlalchemy import Integer, bindparam, literal, select, text
from sqlalchemy.exc import DBAPIError

from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.prepared import Prepared

pytestmark = pytest.mark.integration
TWICE = Prepared("twice", select((bindparam("number", type_=Integer) * 2).label("doubled")))


def ask(connection: Connection, number: int = 21) -> object:
    return TWICE.one(connection, {"number": number})


def test_a_session_prepares_a_statement_once(database: Database):
    with database.connect() as connection:
        assert [ask(connection, number) for number in (1, 2)] == [{"doubled": 2}, {"doubled": 4}]
        prepared = connection.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
    assert prepared == 1


@pytest.mark.parametrize("how", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_a_session_that_lost_its_statements_is_replaced(database: Database, how: str):
    with database.at_once() as connection:
        ask(connection)
        connection.execute(text(how))
        with pytest.raises(DatabaseUnavailable):
            ask(connection)
    with database.at_once() as connection:
        assert ask(connection) == {"doubled": 42}


def test_a_session_whose_tables_have_changed_is_replaced(database: Database):
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE dct.changing (value integer)"))
    read = Prepared("changing", text("SELECT * FROM dct.changing"))
    with database.at_once() as connection:
        assert read.one(connection, {}) is None
        connection.execute(text("ALTER TABLE dct.changing ALTER COLUMN value TYPE bigint"))
        with pytest.raises(DatabaseUnavailable):
            read.one(connection, {})
    with database.at_once() as connection:
        assert read.one(connection, {}) is None


def test_a_value_that_is_missing_is_told_and_not_taken_for_null(database: Database):
    with database.connect() as connection, pytest.raises(KeyError, match="number"):
        TWICE.one(connection, {})


def test_what_is_wrong_with_one_statement_says_so_and_leaves_the_session_as_it_is(database: Database):
    divided = Prepared("divided", select(literal(1) / bindparam("by", type_=Integer)))
    with database.at_once() as connection:
        with pytest.raises(Exception, match="division by zero") as told:
            divided.one(connection, {"by": 0})
        assert not isinstance(told.value, DatabaseUnavailable | DBAPIError)
        assert ask(connection) == {"doubled": 42}
