"""A stage for executions: a real database, Dagster's runs in memory, and actions that do as they are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, func, insert, select, text, update

from dct_pipelines.domain.action import ActionConfig, ActionContext, ActionType, Recovery
from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.outcome import Outcome, done
from dct_pipelines.domain.ports import ActionPorts
from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.engine.execute import ActionReport, Executor, RunIdentity, Times
from dct_pipelines.engine.reconcile import Reconciler
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import reading
from dct_pipelines.store.executions.rows import Execution
from dct_pipelines.store.executions.transitions import transition
from tests.fakes.gateway import FakeGateway
from tests.fakes.ports import FakeClock, fake_ports
from tests.support.recorded import REPOSITORY

TIMES = Times(
    heartbeat_seconds=0.5,
    self_fence_seconds=3,
    stale_seconds=5,
    start_within_seconds=5,
    lease_wait_seconds=0.2,
    lease_poll_seconds=0.02,
    record_wait_seconds=20,
)
QUOTAS = Quotas(executions=50, agents=100, agent_reservation_percent=30, workspaces=200)
Behaviour = Callable[[ActionContext, "Told", ActionPorts], Outcome]


class Killed(BaseException):
    """The process dies here: nothing after this point happens."""


class Told(ActionConfig):
    """Configuration of every action on the stage."""

    text: str = ""
    count: int = 1
    environment: str | None = None
    opens_workspace: bool = False


class MovableDatabase(Database):
    """A database that can go away: `away` is for how many further transactions it does not answer.

    `is_lossy`: every second one is committed, but the answer gets lost.
    """

    away: int = 0
    is_lossy: bool = False
    answers: int = 0

    @classmethod
    def beside(cls, database: Database) -> MovableDatabase:
        """The same pool."""
        return cls(database.engine, None)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        with self._answering(), super().begin() as connection:
            yield connection

    @contextmanager
    def at_once(self) -> Iterator[Connection]:
        with self._answering(), super().at_once() as connection:
            yield connection

    @contextmanager
    def _answering(self) -> Iterator[None]:
        if self.away > 0:
            self.away -= 1
            raise DatabaseUnavailable("the database does not answer (it was taken away)")
        yield
        self.answers += 1
        if self.is_lossy and self.answers % 2:
            raise DatabaseUnavailable("the connection broke (the answer got lost)")


@dataclass
class Stage:
    """Executions and their runs. `effects` is what really happened outside, in order, by idempotency key."""

    database: Database
    gateway: FakeGateway = field(default_factory=FakeGateway)
    clock: FakeClock = field(default_factory=lambda: FakeClock(datetime.now(UTC)))
    times: Times = TIMES
    quotas: Quotas = QUOTAS
    effects: list[str] = field(default_factory=list)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    ports: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._executors: list[Executor] = []
        self.executor = self.process()

    def process(self, database: Database | None = None) -> Executor:
        """Another process that carries executions out."""
        executor = Executor(
            database or self.database,
            self.clock,
            lambda _execution, find_event: fake_ports(find_event=find_event, **self.ports),
            self.gateway,
            quotas=self.quotas,
            times=self.times,
            action_type=self.action_type,
        )
        self._executors.append(executor)
        return executor

    @property
    def reconciler(self) -> Reconciler:
        """A sweep over the same database and runs."""
        return Reconciler(self.database, self.gateway, self.times)

    def stop(self) -> None:
        """End every process."""
        for executor in self._executors:
            executor.stop()

    def action_type(self, kind: str) -> ActionType[Any]:
        """`check…`, `key…` and `uncertain…` recover as they are called; each does what `behaviours` says."""
        recovery = next((one for one in Recovery if kind.startswith(one.value)), Recovery.CHECK)
        return ActionType(
            kind=kind,
            summary="Does as it is told.",
            config=Told,
            recovery=recovery,
            run=lambda context, config, ports: self._act(kind, context, config, ports),
            outputs=frozenset({"text"}),
            example={},
            leases=lambda config: (f"environment:{config.environment}",) if config.environment else (),
            opens_workspace=lambda config: config.opens_workspace,
        )

    def _act(self, kind: str, context: ActionContext, config: Told, ports: ActionPorts) -> Outcome:
        behaviour = self.behaviours.get(kind)
        if behaviour is not None:
            return behaviour(context, config, ports)
        self.effects.append(context.idempotency_key)
        return done(f"did {context.name}", text=config.text or context.name)

    def repository(self) -> None:
        """The one that recorded workspaces and checks are of."""
        row = {"id": REPOSITORY, "name": "sample", "kind": "git_repository", "location": "/srv/sample.git"}
        with self.database.begin() as connection:
            connection.execute(insert(tables.context_library).values(**row, created_by="tests"))

    def execution(
        self,
        *kinds: str,
        configs: Sequence[Mapping[str, Any]] = (),
        dispatched: bool = True,
        limits: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> UUID:
        """An execution of these actions, waiting or dispatched."""
        kinds = kinds or ("check",)
        actions = [
            {"type": kind, "name": kind, "config": dict(configs[at]) if at < len(configs) else {}}
            for at, kind in enumerate(kinds)
        ]
        execution_id = uuid4()
        values: dict[str, Any] = {
            "triggered_by": "replay",
            "created_by": "tests",
            "job_name": "__".join(kinds),
            "actions": actions,
            "resource_limits": dict(limits or {}),
            "context_snapshot": {
                "event": {"branch": "feature/pay"},
                "item": {"name": "sample"},
                "trigger": {"name": "ship-it"},
            },
        }
        with self.database.begin() as connection:
            made = insert(tables.trigger_executions).values(id=execution_id, **(values | columns))
            connection.execute(made)
        if dispatched:
            self.dispatch(execution_id)
        return execution_id

    def dispatch(self, execution_id: UUID) -> int:
        """Hand it over; its run is not there yet."""
        with self.database.begin() as connection:
            return transition(connection, execution_id, ExecutionState.DISPATCHED).attempt

    def run(self, execution_id: UUID, attempt: int | None = 1, *, parent: str | None = None) -> RunIdentity:
        """A run of that attempt, as Dagster starts it; with a parent it is a re-execution."""
        run_id = str(uuid4())
        self.gateway.begin(run_id, execution_id, attempt)
        return RunIdentity(run_id, "job", execution_id, attempt, parent)

    def claimed(self, *kinds: str, **columns: Any) -> tuple[UUID, RunIdentity]:
        """An execution whose first run has claimed it."""
        execution_id = self.execution(*kinds, **columns)
        run = self.run(execution_id)
        assert not self.executor.claim(run).is_noop
        return execution_id, run

    def perform(self, run: RunIdentity, index: int = 0, executor: Executor | None = None) -> ActionReport:
        """One op of the run."""
        return (executor or self.executor).perform(run, index, self.log.append)

    def kill(self, run: RunIdentity, executor: Executor | None = None) -> None:
        """The run's process is gone; Dagster has noticed."""
        (executor or self.executor).release(run)
        self.gateway.end(run.run_id, "FAILURE")

    def age_heartbeat(self, execution_id: UUID, seconds: float = 60) -> None:
        """Let the last sign of life of every attempt lie that far back."""
        self._age(execution_id, "heartbeat_at", seconds)

    def age_dispatch(self, execution_id: UUID, seconds: float = 60) -> None:
        """Let the dispatch of every attempt lie that far back."""
        self._age(execution_id, "dispatched_at", seconds)

    def _age(self, execution_id: UUID, column: str, seconds: float) -> None:
        # Time in which the server was not there does not count, so it must have been there long enough.
        young = f"SELECT clock_timestamp() - pg_postmaster_start_time() < interval '{TIMES.stale_seconds} s'"
        while self.scalar(text(young)):
            time.sleep(0.1)
        rows = tables.execution_attempts
        with self.database.begin() as connection:
            connection.execute(
                update(rows)
                .where(rows.c.execution_id == execution_id)
                .values({column: func.clock_timestamp() - timedelta(seconds=seconds)})
            )

    def set(self, execution_id: UUID, **columns: Any) -> None:
        """Change columns of the execution behind everybody's back."""
        rows = tables.trigger_executions
        with self.database.begin() as connection:
            connection.execute(update(rows).where(rows.c.id == execution_id).values(**columns))

    def scalar(self, statement: Any) -> Any:
        with self.database.begin() as connection:
            return connection.scalar(statement)

    def row(self, execution_id: UUID) -> Row[Any]:
        """The execution's row."""
        rows = tables.trigger_executions
        with self.database.begin() as connection:
            return connection.execute(select(rows).where(rows.c.id == execution_id)).one()

    def somebody_waits(self) -> bool:
        """Whether a session waits for a lock of another one."""
        waits = "wait_event_type = 'Lock' AND datname = current_database()"
        return bool(self.scalar(text(f"SELECT count(*) FROM pg_stat_activity WHERE {waits}")))

    def state(self, execution_id: UUID) -> ExecutionState:
        """Where it stands."""
        return self.read(execution_id).status

    def read(self, execution_id: UUID) -> Execution:
        """The execution."""
        with self.database.begin() as connection:
            return reading.lock(connection, execution_id)

    def attempts(self, execution_id: UUID) -> list[str]:
        """States of its attempts, the first one first."""
        with self.database.begin() as connection:
            return [one.state.value for one in reading.attempts(connection, execution_id, 30)]

    def result(self, execution_id: UUID, index: int = 0) -> Row[Any] | None:
        """What is recorded of one action."""
        rows = tables.action_results
        wanted = select(rows).where(rows.c.execution_id == execution_id, rows.c.action_index == index)
        with self.database.begin() as connection:
            return connection.execute(wanted).one_or_none()

    def lease(self, key: str, execution_id: UUID, attempt: int = 1) -> None:
        """Let that attempt hold the lease, as a process that was killed outright leaves it."""
        held = insert(tables.leases).values(key=key, execution_id=execution_id, attempt=attempt)
        with self.database.begin() as connection:
            connection.execute(held)

    def leases(self) -> dict[str, tuple[UUID, int]]:
        """Who holds what."""
        with self.database.begin() as connection:
            rows = connection.execute(select(tables.leases)).all()
        return {row.key: (row.execution_id, row.attempt) for row in rows}
