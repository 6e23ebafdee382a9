"""Taking and verifying attempts: every op of a run goes through here before it does anything.

The process that took an attempt knows what it holds and need not read it again for each op; whether it still
holds it, the database says with each write.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from dct_pipelines.domain.errors import DatabaseUnavailable, InvalidInput
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.gateway import RunGateway
from dct_pipelines.domain.restored import PAUSED
from dct_pipelines.engine.claims import Ask, Refuse, Start, decide
from dct_pipelines.engine.heartbeat import Heartbeats, Hold
from dct_pipelines.engine.identity import RunIdentity
from dct_pipelines.engine.manual import manual_values
from dct_pipelines.engine.times import Times
from dct_pipelines.store import restoring
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import Connection, leases, reading, results
from dct_pipelines.store.executions.rows import Execution
from dct_pipelines.store.executions.transitions import RunStart, claim_untried, create_manual, move
from dct_pipelines.store.patience import patiently

MAX_QUESTIONS = 3
"""How often the claimant may change while we ask about the one before."""


@dataclass(frozen=True)
class Refused:
    """The run holds nothing. `was_held`: it did once, and lost it."""

    execution: Execution
    because: str
    was_held: bool


@dataclass(frozen=True)
class Manual:
    """What a run that somebody launched without a trigger is to do."""

    actions: Sequence[Mapping[str, Any]]
    created_by: str


@dataclass(frozen=True)
class Attempts:
    """Gives runs the attempt that they may work on. `gateway` is None where no run can be asked about."""

    database: Database
    gateway: RunGateway | None
    heartbeats: Heartbeats
    times: Times

    def held(self, run: RunIdentity) -> Hold | None:
        """What this process has taken for the run, without asking the database."""
        return self.heartbeats.held_by(run.run_id)

    def take(self, run: RunIdentity, manual: Manual | None = None) -> Hold | Refused:
        """Verify that the run holds its execution, or take it, or say why not.

        Repeatable at any time. A run without an execution gets one if `manual` says what it is to do, and is
        InvalidInput otherwise. Waits for a database that is away.
        """
        asked_at = self.heartbeats.now()
        if (untried := self._take_untried(run)) is not None:
            return self.heartbeats.watch(untried, {}, run.run_id, asked_at)
        runs_over: dict[str, bool] = {}
        for _ in range(MAX_QUESTIONS):
            taken = patiently(lambda: self._try(run, manual, runs_over), self.times.record_wait_seconds)
            if not isinstance(taken, Ask):
                return taken
            runs_over[taken.run_id] = self._is_over(taken.run_id)
        raise DatabaseUnavailable("the execution changes hands faster than it can be taken; try again")

    def release(self, hold: Hold) -> None:
        """Give no more signs of life for it."""
        self.heartbeats.release(hold)

    def _is_over(self, run_id: str) -> bool:
        info = self.gateway.get_run(run_id) if self.gateway is not None else None
        return info is not None and info.is_over

    def _take_untried(self, run: RunIdentity) -> Execution | None:
        """What nearly every run finds, taken at once; None when it has to be looked at closely.

        That is so, too, when the database did not answer: it may have been taken all the same.
        """
        if run.execution_id is None or run.attempt != 1 or run.is_by_hand:
            return None
        start = RunStart(run.run_id, _process(), claims=True)
        with suppress(DatabaseUnavailable), self.database.at_once() as connection:
            return claim_untried(connection, run.execution_id, start)
        return None

    def _try(
        self, run: RunIdentity, manual: Manual | None, runs_over: Mapping[str, bool]
    ) -> Hold | Refused | Ask:
        asked_at = self.heartbeats.now()
        with self.database.begin() as connection:
            execution = reading.lock(connection, _find(connection, run, manual))
            attempts = reading.attempts(connection, execution.id, self.times.stale_seconds)
            verdict = decide(run, execution, attempts, runs_over)
            if isinstance(verdict, Ask):
                return verdict
            if isinstance(verdict, Refuse):
                return Refused(execution, verdict.because, verdict.was_held)
            if isinstance(verdict, Start) and restoring.is_paused(connection):
                return Refused(execution, PAUSED, was_held=False)
            if isinstance(verdict, Start) and verdict.claims and execution.cancel_requested_at is not None:
                because = f"cancelled by {execution.cancel_requested_by} before it started"
                cancelled = move(connection, execution, ExecutionState.CANCELLED, message=because)
                return Refused(cancelled, because, was_held=False)
            if isinstance(verdict, Start):
                execution = _start(connection, execution, run, claims=verdict.claims)
            else:
                leases.renew(connection, execution.id, execution.attempt, run.run_id)
            # Only a run records results.
            is_new = all(attempt.run_id is None for attempt in attempts)
            done = {} if is_new else results.read(connection, execution.id)
        hold = self.heartbeats.watch(execution, done, run.run_id, asked_at)
        hold.is_cancel_requested |= execution.cancel_requested_at is not None
        return hold


def _start(connection: Connection, execution: Execution, run: RunIdentity, *, claims: bool) -> Execution:
    message = None if claims or execution.attempt == 0 else f"taken over by run {run.run_id}"
    start = RunStart(
        run_id=run.run_id,
        process=_process(),
        claims=claims,
        by_hand=run.is_by_hand,
    )
    return move(connection, execution, ExecutionState.RUNNING, run=start, message=message)


def _process() -> str:
    return f"{platform.node()}:{os.getpid()}"


def _find(connection: Connection, run: RunIdentity, manual: Manual | None) -> UUID:
    if run.execution_id is not None:
        return run.execution_id
    for run_id in (run.run_id, run.parent_run_id):
        known = reading.execution_of_run(connection, run_id) if run_id is not None else None
        if known is not None:
            return known
    if manual is None:
        raise InvalidInput("this run has no execution yet; launch the whole job, whose first step makes one")
    return _create(connection, run, manual)


def _create(connection: Connection, run: RunIdentity, manual: Manual) -> UUID:
    if restoring.is_paused(connection):
        raise InvalidInput(PAUSED)
    values = manual_values(manual.actions, job_name=run.job_name, created_by=manual.created_by)
    return create_manual(connection, values)
