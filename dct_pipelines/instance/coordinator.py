"""The limits of Dagster's own queue, read anew at every pass: quotas change without a restart.

The queue counts runs by their tags, one each however many agents or workspaces a run takes, and forgets a run
once it is over. So what is in use beyond the runs that count for themselves is taken off the limits. These
limits are the first line, for what people launch by hand and for a plain `dagster-daemon`; that a quota holds
exactly is due to the slots (`store/slots.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import dagster as dg
from dagster._core.run_coordinator import SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator, RunQueueConfig
from sqlalchemy.exc import SQLAlchemyError

from dct_pipelines.clients.pool.roster import Size
from dct_pipelines.domain import run_tags
from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.metrics import SCHEMA as METRICS_SCHEMA
from dct_pipelines.domain.quotas import UNLIMITED, AgentClass, Quotas, Usage, most_runs
from dct_pipelines.instance import census
from dct_pipelines.instance.launcher import WarmRunLauncher, with_pool
from dct_pipelines.instance.storage import PooledRunStorage
from dct_pipelines.settings import load_settings
from dct_pipelines.store import quotas, slots
from dct_pipelines.store.database import Database

NO_LIMIT = -1
"""Dagster's word for no limit of concurrent runs."""
PROCESSES_WITHOUT_POOL = 10
"""Each takes seconds of processor time to begin; of more on a small machine none gets anywhere."""
WORKERS = Size().most
"""A pool has no more."""
PATIENCE_SECONDS = 5
"""A pass of the queue must not hang for longer on one of our statements."""
EACH = {"applyLimitPerUniqueValue": True}
METRICS_AT_ONCE = 1
"""Runs of metrics: each loads the tools of data frames and plots, and reads many rows."""

_log = logging.getLogger(__name__)


class QuotaRunCoordinator(QueuedRunCoordinator[dg.DagsterInstance]):
    """A `QueuedRunCoordinator` whose limits are the quotas in force.

    Configured like that one: `max_concurrent_runs` and `tag_concurrency_limits` are further limits, of this
    machine alone. While the database is away the limits are those that were read last; before any was read,
    nothing starts.
    """

    def __init__(self, *, max_concurrent_runs: int | None = None, **config: Any) -> None:
        super().__init__(max_concurrent_runs=max_concurrent_runs, **config)
        self._of_machine = UNLIMITED if max_concurrent_runs in (None, NO_LIMIT) else max_concurrent_runs
        self._last_read: RunQueueConfig | None = None
        self._is_away = False
        self._is_resting = False

    @cached_property
    def _database(self) -> Database:
        settings = load_settings()
        hurried = {"statement_timeout_seconds": PATIENCE_SECONDS, "database_pool_size": 1}
        return Database.open(settings.model_copy(update=hurried), application="dct-queue")

    @cached_property
    def _defaults(self) -> Quotas:
        return load_settings().quotas

    def rest(self) -> None:
        """From now on answer by the last limits: this process takes nothing from the queue.

        Dagster asks at the beginning of each run, too, for the pools of ops.
        """
        self._is_resting = True

    def get_run_queue_config(self) -> RunQueueConfig:
        """The limits as they are now; Dagster asks at each pass."""
        if self._is_resting and self._last_read is not None:
            return self._last_read
        try:
            self._last_read = self._read()
            self._note_away(None)
        except (DctError, SQLAlchemyError) as error:
            self._note_away(error)
        if self._last_read is None:
            return super().get_run_queue_config()._replace(max_concurrent_runs=0)
        return self._last_read

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Put the run into the queue; one of metrics is marked, whoever asks for it and by whichever job."""
        run = context.dagster_run
        if is_of_metrics(run) and run_tags.METRICS not in run.tags:
            self._instance.add_run_tags(run.run_id, {run_tags.METRICS: "true"})
        return super().submit_run(context)

    def dispose(self) -> None:
        """Close the connection to the quotas."""
        if "_database" in self.__dict__:
            self._database.dispose()

    def _read(self) -> RunQueueConfig:
        with self._database.connect() as connection:
            in_force = quotas.in_force(connection, self._defaults)
            beyond_runs = slots.usage_beyond_runs(connection)
            triggers = slots.limits_of_triggers(connection)
        stock = super().get_run_queue_config()
        limits = [*stock.tag_concurrency_limits, *tag_limits(in_force, beyond_runs, triggers)]
        has_pool = self.has_instance and with_pool(self._instance) is not None
        runs = most_runs(in_force, self.most_here(has_pool=has_pool))
        # Dagster counts every run; those of metrics are none of the quota's.
        told = runs + self._metrics_at_work() if runs < UNLIMITED else NO_LIMIT
        return stock._replace(max_concurrent_runs=told, tag_concurrency_limits=limits)

    def _metrics_at_work(self) -> int:
        storage = self._instance.run_storage if self.has_instance else None
        return census.count(storage).metrics if isinstance(storage, PooledRunStorage) else 0

    def most_here(self, *, has_pool: bool) -> int:
        """How many runs there may be at once for want of processes, whatever the quotas allow.

        More would be STARTING while they wait for a worker, and Dagster fails a run that is so for minutes.
        """
        launcher: Any = self._instance.run_launcher if self.has_instance else None
        if not isinstance(launcher, WarmRunLauncher):
            return self._of_machine
        return min(self._of_machine, WORKERS if has_pool else PROCESSES_WITHOUT_POOL)

    def _note_away(self, error: Exception | None) -> None:
        """Say once that the quotas cannot be read, and once that they can again."""
        if error is not None and not self._is_away:
            follows = "the last ones go on to count" if self._last_read else "no queued run starts"
            _log.warning("the quotas cannot be read, %s: %s", follows, error)
        if error is None and self._is_away:
            _log.info("the quotas can be read again")
        self._is_away = error is not None


def is_of_metrics(run: dg.DagsterRun) -> bool:
    """Whether it materializes assets, or checks some, of metrics and of nothing else."""
    checked = {check.asset_key for check in run.asset_check_selection or ()}
    keys = {*(run.asset_selection or ()), *checked}
    return bool(keys) and all(key.path[0] == METRICS_SCHEMA for key in keys)


def tag_limits(in_force: Quotas, beyond_runs: Usage, triggers: Mapping[str, int]) -> list[dict[str, Any]]:
    """Dagster's limits by tags. Two runs never deploy to one environment, whether quotas are on or off.

    `triggers` is how many executions of each may run; `beyond_runs` what `usage_beyond_runs` says.
    """
    exclusive: list[dict[str, Any]] = [
        {"key": run_tags.ENVIRONMENT, "value": EACH, "limit": 1},
        {"key": run_tags.METRICS, "limit": METRICS_AT_ONCE},
    ]
    if not in_force.enabled:
        return exclusive
    standard = max(0, in_force.standard_agents - beyond_runs.standard_agents)
    return [
        *exclusive,
        {"key": run_tags.LINE, "value": EACH, "limit": 1},
        {"key": run_tags.AGENT, "limit": max(0, in_force.agents - beyond_runs.agents)},
        {"key": run_tags.AGENT_CLASS, "value": AgentClass.STANDARD.value, "limit": standard},
        {"key": run_tags.WORKSPACE, "limit": max(0, in_force.workspaces - beyond_runs.workspaces)},
        *({"key": run_tags.TRIGGER, "value": name, "limit": limit} for name, limit in triggers.items()),
    ]
