"""What is said to a database, whether through SQLAlchemy or to the driver itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2.extensions
from sqlalchemy import Engine, event

from dct_pipelines.store.database import Database


@contextmanager
def statements_to(of: Engine | Database) -> Iterator[list[str]]:
    """Every statement of the block, in order, from connections that are taken from the pool in it."""
    engine = of.engine if isinstance(of, Database) else of
    said: list[str] = []

    class Noting(psycopg2.extensions.cursor):  # type: ignore[misc]  # the driver has no types
        def execute(self, query: Any, vars: Any = None) -> None:
            said.append(query if isinstance(query, str) else query.decode())
            super().execute(query, vars)

    def take(driver: Any, *_rest: object) -> None:
        driver.cursor_factory = Noting

    def give_back(driver: Any, *_rest: object) -> None:
        if driver is not None:
            driver.cursor_factory = None

    def release() -> None:
        if isinstance(of, Database):
            of.in_hand.release()

    release()
    event.listen(engine, "checkout", take)
    event.listen(engine, "checkin", give_back)
    try:
        yield said
    finally:
        release()
        event.remove(engine, "checkout", take)
        event.remove(engine, "checkin", give_back)
