"""What a worker writes of the one run that it works on: gathered, then written in one transaction.

A stock run of five steps is some forty statements, each a round trip and a commit, and half of them read back
what this very process has just written. Here events and the run's status go down together: when the run
ends, durably, and every half second before that, relaxed, because a crash could take Dagster's own event rows
only, and the reconciler ends such a run. What our tables say never passes through here.

A ledger is open for one run, in the one process that works on it, and for nothing else: no other process
or thread ever reads a run from it. `tests/dagster/test_ledger.py` holds the contract with the pinned Dagster.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

import psycopg2
from dagster import DagsterEvent, DagsterEventType, DagsterRun, DagsterRunStatus, EventLogEntry
from dagster._core.events import EVENT_TYPE_TO_PIPELINE_RUN_STATUS
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._serdes import serialize_value
from sqlalchemy import TIMESTAMP, Boolean, Connection, Double, Engine, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.store.failures import explain
from dct_pipelines.store.patience import patiently
from dct_pipelines.store.prepared import Prepared

FLUSH_SECONDS = 0.5
"""So old may what the UI shows of a run at work become, and so much of it may a crash take."""
END_WAIT_SECONDS = 120
"""How long the end of a run waits for a database that is away."""
_ENDS = frozenset({DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED})
FINISHED = [status.value for status in FINISHED_STATUSES]
"""The statuses of a run that is over, as they are stored."""
_WRITE = text(
    """
    WITH moved AS (
        UPDATE runs SET
            status = :status, update_timestamp = :update_timestamp,
            start_time = COALESCE(:start_time, start_time), end_time = COALESCE(:end_time, end_time)
        WHERE :status IS NOT NULL AND run_id = :run_id AND status <> ALL (:kept)
    )
    INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp, step_key)
    SELECT :run_id, event, kind, at, step
    FROM (
        SELECT set_config(
            'synchronous_commit',
            CASE WHEN :is_relaxed THEN 'off' ELSE current_setting('synchronous_commit') END,
            true
        )
    ) AS durability, unnest(:event, :dagster_event_type, :timestamp, :step_key)
        WITH ORDINALITY AS gathered (event, kind, at, step, place)
    ORDER BY place
    """
).bindparams(
    *(bindparam(name, type_=Text) for name in ("status", "run_id")),
    *(bindparam(name, type_=ARRAY(Text)) for name in ("kept", "event", "dagster_event_type", "step_key")),
    *(bindparam(name, type_=Double) for name in ("start_time", "end_time")),
    bindparam("update_timestamp", type_=TIMESTAMP),
    bindparam("timestamp", type_=ARRAY(TIMESTAMP)),
    bindparam("is_relaxed", type_=Boolean),
)
_log = logging.getLogger(__name__)


@cache
def _prepared() -> Prepared:
    return Prepared("write_ledger", _WRITE)


def _write(connection: Connection, values: Mapping[str, Any]) -> None:
    _prepared().one(connection, values)


class Row(NamedTuple):
    """Columns of `event_logs` of an entry that is not about an asset. `timestamp` is UTC without a zone."""

    event: str
    dagster_event_type: str | None
    timestamp: datetime
    step_key: str | None


class RunLedger:
    """Buffers one run's events and status. Without an open run it holds nothing, and everybody goes by it."""

    def __init__(
        self,
        engine_of: Callable[[], Engine],
        write: Callable[[Connection, Mapping[str, Any]], None] = _write,
    ) -> None:
        self._engine_of = engine_of
        self._write = write
        self._lock = threading.RLock()
        self._run: DagsterRun | None = None
        self._events: list[Row] = []
        self._columns: dict[str, Any] = {}
        self._text_of: Callable[[EventLogEntry], str] = serialize_value
        self._goes_well = True
        self._opened = threading.Event()
        self._flusher: threading.Thread | None = None

    @contextmanager
    def recording(
        self, run: DagsterRun, text_of: Callable[[EventLogEntry], str] = serialize_value
    ) -> Iterator[None]:
        """Hold what is written of this run during the block; at its end all of it is stored, durably.

        `text_of` gives an entry as Dagster stores it.
        Waits for a database that is away, and raises `DatabaseUnavailable` when it stays away for minutes.
        """
        with self._lock:
            self._run, self._events, self._columns, self._goes_well = run, [], {}, True
            self._text_of = text_of
        self._start_flusher()
        self._opened.set()
        try:
            yield
        finally:
            self._opened.clear()
            with self._lock:
                try:
                    patiently(self.flush, END_WAIT_SECONDS)
                finally:
                    self._run = None

    def holds(self, run_id: str) -> bool:
        """Whether what is written of this run goes through here."""
        run = self._run
        return run is not None and run.run_id == run_id

    def run(self, run_id: str) -> DagsterRun | None:
        """The run as this process knows it; None when the database must be asked.

        That is so for every other run, and once a step of this one has failed or was interrupted: then
        Dagster asks whether somebody has told it to stop, which another process writes.
        """
        run = self._run
        return run if run is not None and run.run_id == run_id and self._goes_well else None

    def add(self, entry: EventLogEntry) -> None:
        """Take an event that is not about an asset."""
        event = entry.dagster_event
        row = Row(
            self._text_of(entry),
            None if event is None else event.event_type_value,
            datetime.fromtimestamp(entry.timestamp, UTC).replace(tzinfo=None),
            entry.step_key if event is None else event.step_key,
        )
        with self._lock:
            self._events.append(row)
            if row.dagster_event_type == DagsterEventType.STEP_FAILURE.value:
                self._goes_well = False

    def move(self, event: DagsterEvent, at: datetime | None) -> None:
        """Take an event that moves the run's status."""
        with self._lock:
            if self._run is None or event.event_type not in EVENT_TYPE_TO_PIPELINE_RUN_STATUS:
                return
            status = EVENT_TYPE_TO_PIPELINE_RUN_STATUS[event.event_type]
            at = at or datetime.now(UTC)
            self._run = self._run.with_status(status)
            self._columns |= {"status": status.value, "update_timestamp": at.replace(tzinfo=None)}
            if event.event_type is DagsterEventType.RUN_START:
                self._columns["start_time"] = at.timestamp()
            if event.event_type in _ENDS:
                self._columns["end_time"] = at.timestamp()

    def flush(self, *, is_relaxed: bool = False) -> None:
        """Write what was gathered, in one transaction. `is_relaxed`: without waiting for the disk, unless it
        says how the run ended.

        `DatabaseUnavailable` when it cannot be written now; it stays gathered.
        """
        with self._lock:
            if self._run is None or not (self._events or self._columns):
                return
            try:
                # Each statement of this pool's connections is a transaction of its own.
                with self._engine_of().connect() as connection:
                    values = self._values(self._run.run_id)
                    relaxed = is_relaxed and "end_time" not in self._columns
                    self._write(connection, values | {"is_relaxed": relaxed})
            except DBAPIError as error:
                if meaning := explain(error.orig, disconnected=error.connection_invalidated):
                    raise meaning from error
                raise
            self._events, self._columns = [], {}

    def _values(self, run_id: str) -> dict[str, Any]:
        # Whoever ended the run meanwhile, because this process was taken for dead, keeps the last word.
        kept = FINISHED
        if self._columns.get("status") == DagsterRunStatus.STARTED.value:
            kept = [*FINISHED, DagsterRunStatus.CANCELING.value]
        columns = dict.fromkeys(("status", "update_timestamp", "start_time", "end_time")) | self._columns
        rows = zip(*self._events, strict=True) if self._events else ([] for _ in Row._fields)
        events = dict(zip(Row._fields, map(list, rows), strict=True))
        return {"run_id": run_id, "kept": kept} | columns | events

    def _start_flusher(self) -> None:
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_now_and_then, name="ledger", daemon=True)
            self._flusher.start()

    def _flush_now_and_then(self) -> None:
        pause = threading.Event()
        while True:
            self._opened.wait()
            pause.wait(FLUSH_SECONDS)
            if self._opened.is_set():
                try:
                    self.flush(is_relaxed=True)
                except (DatabaseUnavailable, SQLAlchemyError, psycopg2.Error) as error:
                    # It stays gathered, and the end of the run must write it.
                    _log.warning("events of a run wait for the database: %s", error)


NOISE = frozenset(
    {
        DagsterEventType.RESOURCE_INIT_STARTED,
        DagsterEventType.RESOURCE_INIT_SUCCESS,
        DagsterEventType.LOGS_CAPTURED,
        DagsterEventType.STEP_INPUT,
        DagsterEventType.LOADED_INPUT,
        DagsterEventType.HANDLED_OUTPUT,
    }
)
"""Events that say nothing about our runs: no data moves between steps, and nobody waits for a resource."""


def is_noise(event: EventLogEntry) -> bool:
    """Whether the event is not worth its place on the disk."""
    if event.dagster_event is None:
        return int(event.level) <= logging.DEBUG
    if event.dagster_event.event_type is DagsterEventType.ENGINE_EVENT:
        return event.dagster_event.engine_event_data.error is None and int(event.level) <= logging.INFO
    return event.dagster_event.event_type in NOISE
