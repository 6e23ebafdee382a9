"""The doctor on the test's database, and what is looked for in what he says.

A test module takes the fixture by name: `from tests.support.doctor import *  # noqa: F403`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text

from dct_pipelines.bootstrap import build
from dct_pipelines.cli.doctor import patient_of
from dct_pipelines.domain.diagnosis import Diagnosis, Level
from dct_pipelines.engine.doctor import Examination
from dct_pipelines.settings import Settings
from dct_pipelines.store.database import Database

__all__ = ["look"]
Look = Callable[[], list[Diagnosis]]


@pytest.fixture
def look(database_settings: Settings) -> Iterator[Look]:
    """What is not well, as the doctor says it."""
    app = build(database_settings)
    (database_settings.project_root / "dagster.yaml").touch()

    def found() -> list[Diagnosis]:
        return [
            one for one in Examination(patient_of(app, online=False)).findings() if one.level is not Level.OK
        ]

    yield found
    app.database.dispose()


def change(database: Database, statement: Any, **values: Any) -> None:
    with database.begin() as connection:
        connection.execute(text(statement) if isinstance(statement, str) else statement, values)


def told(found: list[Diagnosis], words: str) -> Diagnosis:
    """The finding with these words; it says how to mend it."""
    matching = [one for one in found if words in one.says]
    assert len(matching) == 1, [one.says for one in found]
    assert matching[0].mend
    return matching[0]


def failures(found: list[Diagnosis]) -> list[str]:
    return [one.says for one in found if one.level is Level.FAIL]
