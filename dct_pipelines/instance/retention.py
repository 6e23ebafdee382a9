"""Old runs go: at thirty a second a month of them is 80 million runs, and hundreds of gigabytes of events.

Dagster keeps runs for ever and deletes one at a time. Here those of executions go, some hundred at once, a
while after they ended. What happened stays known: executions, attempts, results, decisions are rows of ours.
Runs of metrics go too, later: what the UI plots of an asset over time are their events. So do results of the
alerts' checks, which the sensor gives without a run; the newest of each check is how it stands and stays.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.instance import RUNLESS_RUN_ID
from dagster._core.instance.methods.daemon_methods import DaemonMethods
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as Checks
from dagster._core.storage.event_log.schema import AssetEventTagsTable as EventTags
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as EventLogs
from dagster._core.storage.runs.schema import RunsTable as Runs
from dagster._core.storage.runs.schema import RunTagsTable as RunTags
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._daemon.daemon import DaemonIterator, IntervalDaemon
from sqlalchemy import delete, exists, select

from dct_pipelines.domain import run_tags
from dct_pipelines.domain.incidents import ALERT_ASSETS, AlertRule
from dct_pipelines.instance.ledger import FINISHED
from dct_pipelines.instance.seams import Undo, replace
from dct_pipelines.instance.storage import PooledRunStorage

EVERY_SECONDS = 60
RUNS_AT_ONCE = 200
BATCHES = 30
"""In one turn, which is 100 runs a second: more than can be done."""
RESULTS_EVERY_SECONDS = 3600
"""Results of alerts are few: one when an incident comes or goes."""


def watched_over() -> Undo:
    """Have Dagster's controller ask after our daemon as after its own, or it warns of it every minute.

    Only once its daemons are made: it makes one of each name that it asks after.
    """
    stock = DaemonMethods.get_required_daemon_types

    def get_required_daemon_types(self: DaemonMethods) -> Sequence[str]:
        return [*stock(self), RetentionDaemon.daemon_type()]

    return replace(DaemonMethods, "get_required_daemon_types", get_required_daemon_types)


class RetentionDaemon(IntervalDaemon[IWorkspaceProcessContext[Any]]):
    """Deletes, every minute, what is old enough."""

    def __init__(self, storage: PooledRunStorage, kept_days: int, metrics_days: int) -> None:
        super().__init__(EVERY_SECONDS)
        self._storage = storage
        self._kept = {
            run_tags.EXECUTION: timedelta(days=kept_days),
            run_tags.METRICS: timedelta(days=metrics_days),
            run_tags.MAINTENANCE: timedelta(days=metrics_days),
        }
        self._results_kept = timedelta(days=metrics_days)
        self._results_due = time.monotonic()

    @classmethod
    def daemon_type(cls) -> str:
        """Its name among Dagster's daemons."""
        return "DCT_RETENTION"

    def run_iteration(self, workspace_process_context: IWorkspaceProcessContext[Any]) -> DaemonIterator:
        """One turn; the rest is left for the next one."""
        for tag, kept in self._kept.items():
            for _ in range(BATCHES):
                deleted = delete_runs(self._storage, datetime.now(UTC) - kept, RUNS_AT_ONCE, tag)
                yield None
                if deleted < RUNS_AT_ONCE:
                    break
        if time.monotonic() >= self._results_due:
            deleted = delete_results(self._storage, datetime.now(UTC) - self._results_kept, RUNS_AT_ONCE)
            if deleted < RUNS_AT_ONCE:
                self._results_due = time.monotonic() + RESULTS_EVERY_SECONDS
            yield None


def delete_runs(
    storage: PooledRunStorage, ended_before: datetime, limit: int, tag: str = run_tags.EXECUTION
) -> int:
    """Delete runs with a tag that ended before then, with all that is theirs; returns how many.

    Dagster remembers elsewhere which partitions of an asset there are, and its newest materialization.
    """
    is_ours = exists().where(RunTags.c.run_id == Runs.c.run_id, RunTags.c.key == tag)
    old = (
        select(Runs.c.run_id)
        .where(
            Runs.c.status.in_(FINISHED),
            Runs.c.update_timestamp < ended_before.replace(tzinfo=None),
            is_ours,
        )
        .order_by(Runs.c.id)
        .limit(limit)
    )
    with storage.transaction() as connection:
        run_ids = list(connection.scalars(old))
        if run_ids:
            if tag == run_tags.METRICS:
                connection.execute(delete(Checks).where(Checks.c.run_id.in_(run_ids)))
                events = select(EventLogs.c.id).where(EventLogs.c.run_id.in_(run_ids))
                connection.execute(delete(EventTags).where(EventTags.c.event_id.in_(events)))
            connection.execute(delete(EventLogs).where(EventLogs.c.run_id.in_(run_ids)))
            connection.execute(delete(RunTags).where(RunTags.c.run_id.in_(run_ids)))
            connection.execute(delete(Runs).where(Runs.c.run_id.in_(run_ids)))
    return len(run_ids)


def delete_results(storage: PooledRunStorage, given_before: datetime, limit: int) -> int:
    """Delete results of alerts' checks that were given without a run before then; returns how many."""
    keys = [dg.AssetKey([*ALERT_ASSETS, rule.value]).to_string() for rule in AlertRule]
    newer = Checks.alias()
    old = (
        select(Checks.c.id, Checks.c.evaluation_event_storage_id)
        .where(
            Checks.c.asset_key.in_(keys),
            Checks.c.run_id == RUNLESS_RUN_ID,
            Checks.c.evaluation_event_timestamp < given_before.replace(tzinfo=None),
            exists().where(
                newer.c.asset_key == Checks.c.asset_key,
                newer.c.check_name == Checks.c.check_name,
                newer.c.id > Checks.c.id,
            ),
        )
        .order_by(Checks.c.id)
        .limit(limit)
    )
    with storage.transaction() as connection:
        found = connection.execute(old).all()
        if found:
            events = EventLogs.c.id.in_([one.evaluation_event_storage_id for one in found])
            connection.execute(delete(EventLogs).where(events, EventLogs.c.run_id == RUNLESS_RUN_ID))
            connection.execute(delete(Checks).where(Checks.c.id.in_([one.id for one in found])))
    return len(found)
