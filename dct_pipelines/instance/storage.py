"""Dagster's storage, named by `dagster.yaml`: finds or starts the database from any Dagster process.

Runs, events and schedules keep to dagster-postgres. Different are where connections come from, what never
changes and is therefore asked once (a schema's columns, snapshots by their digest), and what a worker of the
pool writes of its run (`instance/ledger.py`). Needs a contract test at each new version of dagster-postgres.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._config.config_schema import UserConfigSchema
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log import EventLogStorage
from dagster._core.storage.runs import RunStorage
from dagster._core.storage.schedules import ScheduleStorage
from dagster._record import copy
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from sqlalchemy import Connection, Engine

from dct_pipelines.instance.ledger import RunLedger, is_noise
from dct_pipelines.instance.pool import DagsterPool, shared_pool
from dct_pipelines.settings import load_settings

SNAPSHOTS_KEPT = 1000
PURGE_EVERY_SECONDS = 600
_ABOUT_ASSETS = {
    *ASSET_EVENTS,
    *ASSET_CHECK_EVENTS,
    dg.DagsterEventType.ASSET_HEALTH_CHANGED,
    dg.DagsterEventType.ASSET_WIPED,
}


class _Pooled:
    """Mixed into each storage of dagster-postgres: its engine is the pool's."""

    def __init__(self, pool: DagsterPool) -> None:
        self._pool = pool
        super().__init__(str(pool.engine.url), should_autocreate_tables=False)  # type: ignore[call-arg]

    def create(self) -> None:
        """Make this storage's tables, as its base class does in a database without them."""
        raise NotImplementedError

    @property
    def _engine(self) -> Engine:
        return self._pool.engine

    @_engine.setter
    def _engine(self, unused: Engine) -> None:
        """Refuse the engine that the base class makes for itself; it has not connected."""
        unused.dispose()

    def _once(self, what: str, ask: Callable[[], bool]) -> bool:
        """Remember a yes: tables and columns stay, and asking reflects the schema each time."""
        if what not in self._pool.known and ask():
            self._pool.known.add(what)
        return what in self._pool.known

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        self._pool.limit(statement_timeout, max_overflow)

    def dispose(self) -> None:
        """Leave the pool open: it is the process's, and the next instance's."""
        super().dispose()  # type: ignore[misc]


class PooledRunStorage(_Pooled, PostgresRunStorage):
    """Runs, on the shared pool."""

    def __init__(self, pool: DagsterPool, ledger: RunLedger) -> None:
        self.ledger = ledger
        self._snapshots: dict[str, Any] = {}
        super().__init__(pool)

    def has_run_stats_index_cols(self) -> bool:
        return self._once("run stats", super().has_run_stats_index_cols)

    def has_backfill_id_column(self) -> bool:
        return self._once("backfill id", super().has_backfill_id_column)

    def _has_snapshot_id(self, snapshot_id: str) -> bool:
        return self._once(
            f"snapshot {snapshot_id}", lambda: super(PooledRunStorage, self)._has_snapshot_id(snapshot_id)
        )

    def _get_snapshot(self, snapshot_id: str) -> Any:
        """Remember what is there: a snapshot's id is the digest of what it says."""
        found = self._snapshots.get(snapshot_id)
        if found is None and (found := super()._get_snapshot(snapshot_id)) is not None:
            while len(self._snapshots) >= SNAPSHOTS_KEPT:
                self._snapshots.pop(next(iter(self._snapshots)))
            self._snapshots[snapshot_id] = found
        return found

    def get_run_records(
        self, filters: dg.RunsFilter | None = None, *args: Any, **named: Any
    ) -> Sequence[dg.RunRecord]:
        """As the base class does; a worker knows its own run, after which Dagster asks again and again."""
        wanted = filters.run_ids if filters is not None else None
        if wanted is not None and len(wanted) == 1 and (run := self.ledger.run(wanted[0])) is not None:
            now = datetime.now(UTC)
            return [dg.RunRecord(0, run, create_timestamp=now, update_timestamp=now)]
        return super().get_run_records(filters, *args, **named)

    def handle_run_event(
        self, run_id: str, event: dg.DagsterEvent, update_timestamp: datetime | None = None
    ) -> None:
        """As the base class does; what moves a worker's own run is gathered."""
        if self.ledger.holds(run_id) and event.event_type is not dg.DagsterEventType.RUN_FAILURE:
            self.ledger.move(event, update_timestamp)
            return
        if self.ledger.holds(run_id):
            self.ledger.flush()
        super().handle_run_event(run_id, event, update_timestamp)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection on which everything is stored together; Dagster's own commit by themselves."""
        with self._engine.connect() as plain:
            connection = plain.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                yield connection

    def create(self) -> None:
        self._init_db()
        self.migrate()
        self.optimize()


class PooledEventLogStorage(_Pooled, PostgresEventLogStorage):
    """Events, on the shared pool."""

    def __init__(self, pool: DagsterPool, ledger: RunLedger) -> None:
        self._ledger = ledger
        super().__init__(pool)

    def store_event(self, event: dg.EventLogEntry) -> None:
        """As the base class does; events of a worker's own run are gathered, those of assets excepted."""
        if not self._ledger.holds(event.run_id):
            super().store_event(event)
        elif event.dagster_event is not None and event.dagster_event.event_type in _ABOUT_ASSETS:
            self._ledger.flush()
            super().store_event(event)
        elif not is_noise(event):
            self._ledger.add(event)

    @property
    def supports_partition_subset_in_asset_materialization_planned_events(self) -> bool:
        """Yes: one event says which partitions of an asset a run is for, instead of one each, stored one by
        one by whoever launches. The price: partitions of a failed run are shown as missing, not as failed.
        """
        return True

    def _store_asset_check_evaluation_planned(self, event: dg.EventLogEntry, event_id: int | None) -> None:
        """As the base class does, for the check as a whole: ours are not done by partition, and what is
        planned for each would stay so for ever.
        """
        planned: Any = event.dagster_event
        whole = copy(planned.event_specific_data, partitions_subset=None)
        event = event._replace(dagster_event=planned._replace(event_specific_data=whole))
        super()._store_asset_check_evaluation_planned(event, event_id)

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """As the base class does; what was gathered before is written before."""
        if self._ledger.holds(events[0].run_id):
            self._ledger.flush()
        super().store_event_batch(events)

    def create(self) -> None:
        self._init_db()
        self.reindex_events()
        self.reindex_assets()


class PooledScheduleStorage(_Pooled, PostgresScheduleStorage):
    """Sensors, schedules and their ticks, on the shared pool."""

    def _has_instigators_table(self, conn: Connection) -> bool:
        return self._once("instigators", lambda: super(_Schedules, self)._has_instigators_table(conn))

    def has_secondary_index_table(self) -> bool:
        return self._once("secondary indexes", super().has_secondary_index_table)

    def has_built_index(self, migration_name: str) -> bool:
        return self._once(migration_name, lambda: super(_Schedules, self).has_built_index(migration_name))

    def purge_ticks(
        self,
        origin_id: str,
        selector_id: str,
        before: float,
        tick_statuses: Sequence[Any] | None = None,
    ) -> None:
        """As the base class does, now and then: the daemon asks several times after each tick."""
        if self._pool.is_due(f"{selector_id} {tick_statuses}", PURGE_EVERY_SECONDS):
            super().purge_ticks(origin_id, selector_id, before, tick_statuses)

    def create(self) -> None:
        self._init_db()


_Schedules = PooledScheduleStorage


class PooledStorage(DagsterStorage[Any], ConfigurableClass):
    """The three storages on one pool. Takes no configuration: the database is that of our settings."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        pool = shared_pool(os.getpid(), load_settings())
        ledger = RunLedger(lambda: pool.engine)
        self._runs = PooledRunStorage(pool, ledger)
        self._events = PooledEventLogStorage(pool, ledger)
        self._schedules = PooledScheduleStorage(pool)
        by_main_table: dict[str, _Pooled] = {
            "runs": self._runs,
            "event_logs": self._events,
            "jobs": self._schedules,
        }
        if not pool.is_made:
            with pool.creating(by_main_table) as missing:
                for table in missing:
                    by_main_table[table].create()
            pool.is_made = True
        super().__init__()  # type: ignore[no-untyped-call]  # Dagster's own has no types

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> PooledStorage:
        return cls(inst_data, **config_value)

    @property
    def run_storage(self) -> RunStorage[Any]:
        return self._runs

    @property
    def event_log_storage(self) -> EventLogStorage[Any]:
        return self._events

    @property
    def schedule_storage(self) -> ScheduleStorage[Any]:
        return self._schedules
