"""What the doctor says of a database in which a restore has left something, or a transaction stays open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from dct_pipelines.domain.diagnosis import Level, Told
from dct_pipelines.engine.doctor.database import look_at_open
from dct_pipelines.store import examining
from dct_pipelines.store.database import Database
from tests.support.doctor import *  # noqa: F403
from tests.support.doctor import Look, change, told

pytestmark = pytest.mark.integration


def test_what_a_restore_has_left_that_was_cut_off_is_a_failure(look: Look, database: Database):
    with database.begin() as connection:
        connection.execute(text("ALTER SCHEMA dct RENAME TO dct_replaced"))
    found = look()
    assert "dct restore FILE" in told(found, "every command refuses the database").mend
    assert [one for one in found if "DROP SCHEMA" in one.mend or "drop" in one.mend] == []
    assert len([one for one in found if "restore" in f"{one.says} {one.mend}"]) == 1


@pytest.mark.parametrize("left", [["dct"], ["dagster"], ["dct", "dagster", "metrics"]])
def test_what_a_restore_left_beside_a_deployment_is_told_with_how_to_drop_it(
    look: Look, database: Database, left: list[str]
):
    names = [f"{name}_replaced" for name in left]
    for name in names:
        change(database, f"CREATE SCHEMA {name}")
    mend = told(look(), f"left what was there before in {', '.join(names)}, and the next one is refused").mend
    assert "dct restore" not in mend
    change(database, mend[mend.index("DROP SCHEMA") :])
    assert not any("_replaced" in one.says for one in look())


@pytest.fixture
def hanging(database: Database) -> Iterator[examining.Server]:
    """What is asked of a server in which a transaction of this process is open."""
    with database.connect() as opened, database.connect() as asking:
        opened.execute(text("SELECT 1"))
        yield examining.server(asking)


def told_of_open(server: examining.Server, by: str | None, since: timedelta) -> Told:
    assert server.longest_since is not None
    [finding, *_] = look_at_open(replace(server, longest_by=by), server.longest_since + since)
    return finding


@pytest.mark.parametrize("by", ["psql", "", None, "dct's own psql", "dctl:12"])
def test_a_transaction_of_others_that_stays_open_is_told_with_how_to_end_it(
    hanging: examining.Server, by: str | None
):
    finding = told_of_open(hanging, by, timedelta(minutes=6))
    assert (finding.level, "is open for 6 minutes" in finding.says) == (Level.WARN, True)
    assert finding.mend == f"end it: SELECT pg_terminate_backend({hanging.longest_pid})"


@pytest.mark.parametrize("by", [None, "dct:12", "dct-dagster:12", "dct program 6f1f"])
def test_nobody_is_told_to_end_work_of_ours_before_it_took_hours(hanging: examining.Server, by: str | None):
    ours = by or hanging.longest_by
    finding = told_of_open(hanging, ours, timedelta(hours=5, minutes=59))
    assert (finding.level, finding.mend.startswith("wait: a backup")) == (Level.WARN, True)
    assert "terminate" not in finding.mend
    later = told_of_open(hanging, ours, timedelta(hours=6))
    assert "see that no backup" in later.mend
    assert f"pg_terminate_backend({hanging.longest_pid})" in later.mend
