"""Dagster's storage, named by `dagster.yaml`: finds or starts the database from any Dagster process.

Runs, events and schedules keep to dagster-postgres; only where connections come from, and one costly question
that was asked at every read of a run, are different. Needs a contract test at each new version of
dagster-postgres.
"""

from __future__ import annotations

from typing import Any

from dagster._config.config_schema import UserConfigSchema
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log import EventLogStorage
from dagster._core.storage.runs import RunStorage
from dagster._core.storage.schedules import ScheduleStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from sqlalchemy import Engine

from dct_pipelines.instance.pool import DagsterPool
from dct_pipelines.settings import load_settings


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

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        self._pool.limit(statement_timeout, max_overflow)

    def dispose(self) -> None:
        super().dispose()  # type: ignore[misc]
        self._pool.engine.dispose()


class PooledRunStorage(_Pooled, PostgresRunStorage):
    """Runs, on the shared pool."""

    _has_run_stats_columns = False

    def has_run_stats_index_cols(self) -> bool:
        """Remember a yes: the columns never go away, and asking reflects the table at every read of a run."""
        self._has_run_stats_columns = self._has_run_stats_columns or super().has_run_stats_index_cols()
        return self._has_run_stats_columns

    def create(self) -> None:
        self._init_db()
        self.migrate()
        self.optimize()


class PooledEventLogStorage(_Pooled, PostgresEventLogStorage):
    """Events, on the shared pool."""

    def create(self) -> None:
        self._init_db()
        self.reindex_events()
        self.reindex_assets()


class PooledScheduleStorage(_Pooled, PostgresScheduleStorage):
    """Sensors, schedules and their ticks, on the shared pool."""

    def create(self) -> None:
        self._init_db()


class PooledStorage(DagsterStorage[Any], ConfigurableClass):
    """The three storages on one pool. Takes no configuration: the database is that of our settings."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        pool = DagsterPool(load_settings())
        self._runs = PooledRunStorage(pool)
        self._events = PooledEventLogStorage(pool)
        self._schedules = PooledScheduleStorage(pool)
        by_main_table: dict[str, _Pooled] = {
            "runs": self._runs,
            "event_logs": self._events,
            "jobs": self._schedules,
        }
        with pool.creating(by_main_table) as missing:
            for table in missing:
                by_main_table[table].create()
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
