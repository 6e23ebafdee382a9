"""Questions about Dagster's runs that must be cheap, because the queue asks them at every turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagster._core.storage.dagster_run import ACTIVE_RUN_STATUSES, DagsterRunStatus
from dagster._core.storage.runs.schema import RunsTable as Runs
from dagster._core.storage.runs.schema import RunTagsTable as RunTags
from sqlalchemy import and_, func, select

from dct_pipelines.domain import run_tags
from dct_pipelines.instance.launcher import PROCESS
from dct_pipelines.instance.ledger import FINISHED
from dct_pipelines.instance.storage import PooledRunStorage

_ACTIVE = [status.value for status in ACTIVE_RUN_STATUSES]
_QUEUED = DagsterRunStatus.QUEUED.value
_DUE = """
SELECT 1 FROM runs WHERE run_id = %(run_id)s AND status <> ALL (%(finished)s) AND NOT EXISTS (
    SELECT 1 FROM run_tags WHERE run_id = %(run_id)s AND key = %(key)s AND value = %(elsewhere)s
)
"""


@dataclass(frozen=True)
class Census:
    """How many of Dagster's runs hold a slot, and how many wait in Dagster's own queue."""

    active: int
    queued: int


def count(storage: PooledRunStorage) -> Census:
    """Count them now."""
    wanted = (
        select(Runs.c.status, func.count())
        .where(Runs.c.status.in_([*_ACTIVE, _QUEUED]))
        .group_by(Runs.c.status)
    )
    with storage.connect() as connection:
        counts = {str(status): int(number) for status, number in connection.execute(wanted)}
    queued = counts.pop(_QUEUED, 0)
    return Census(active=sum(counts.values()), queued=queued)


def active_with_tag(
    storage: PooledRunStorage, key: str, value: str
) -> Sequence[tuple[str, DagsterRunStatus]]:
    """Runs that hold a slot and carry this tag, with their status."""
    tagged = and_(RunTags.c.run_id == Runs.c.run_id, RunTags.c.key == key, RunTags.c.value == value)
    wanted = select(Runs.c.run_id, Runs.c.status).join(RunTags, tagged).where(Runs.c.status.in_(_ACTIVE))
    with storage.connect() as connection:
        return [(run_id, DagsterRunStatus(status)) for run_id, status in connection.execute(wanted)]


def is_to_be_done(storage: PooledRunStorage, run_id: str) -> bool:
    """Whether a worker may begin the run: it is there, not over, and nobody gave it a process of its own."""
    values = {"run_id": run_id, "finished": FINISHED, "key": run_tags.LAUNCHER, "elsewhere": PROCESS}
    with storage.connect() as connection:
        return connection.exec_driver_sql(_DUE, values).scalar() is not None
