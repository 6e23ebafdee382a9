"""Questions about Dagster's runs that must be cheap, because the queue asks them at every turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from dagster._core.storage.dagster_run import ACTIVE_RUN_STATUSES, DagsterRunStatus
from dagster._core.storage.runs.schema import RunsTable as Runs
from dagster._core.storage.runs.schema import RunTagsTable as RunTags
from sqlalchemy import Exists, Text, and_, bindparam, exists, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from dct_pipelines.domain import run_tags
from dct_pipelines.instance.launcher import PROCESS
from dct_pipelines.instance.ledger import FINISHED
from dct_pipelines.instance.storage import PooledRunStorage
from dct_pipelines.store.prepared import Prepared

_ACTIVE = [status.value for status in ACTIVE_RUN_STATUSES]
_QUEUED = DagsterRunStatus.QUEUED.value
_DUE = text(
    """
    SELECT 1 AS is_due FROM runs WHERE run_id = :run_id AND status <> ALL (:finished) AND NOT EXISTS (
        SELECT 1 FROM run_tags WHERE run_id = :run_id AND key = :key AND value = :elsewhere
    )
    """
).bindparams(
    *(bindparam(name, type_=Text) for name in ("run_id", "key", "elsewhere")),
    bindparam("finished", type_=ARRAY(Text)),
)


@dataclass(frozen=True)
class Census:
    """How many of Dagster's runs hold a slot, and how many wait in Dagster's own queue.

    Runs of metrics hold none: `metrics` are those at work; `queued_metrics` are among the `queued`.
    """

    active: int
    queued: int
    metrics: int = 0
    queued_metrics: int = 0


def count(storage: PooledRunStorage) -> Census:
    """Count them now."""
    wanted = (
        select(Runs.c.status, func.count(), func.count().filter(_of_metrics()))
        .where(Runs.c.status.in_([*_ACTIVE, _QUEUED]))
        .group_by(Runs.c.status)
    )
    with storage.connect() as connection:
        counts = {status: (number, metrics) for status, number, metrics in connection.execute(wanted)}
    queued, queued_metrics = counts.pop(_QUEUED, (0, 0))
    metrics = sum(metrics for _, metrics in counts.values())
    active = sum(number for number, _ in counts.values()) - metrics
    return Census(active, queued, metrics, queued_metrics)


def next_of_metrics(storage: PooledRunStorage) -> str | None:
    """The run of metrics that has waited longest in Dagster's queue."""
    waiting = select(Runs.c.run_id).where(Runs.c.status == _QUEUED, _of_metrics())
    with storage.connect() as connection:
        found: str | None = connection.scalar(waiting.order_by(Runs.c.id).limit(1))
    return found


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
        return _due().one(connection, values) is not None


def _of_metrics() -> Exists:
    tag = and_(
        RunTags.c.run_id == Runs.c.run_id, RunTags.c.key == run_tags.METRICS, RunTags.c.value == "true"
    )
    return exists().where(tag)


@cache
def _due() -> Prepared:
    return Prepared("is_run_due", _DUE)
