"""The sweep that brings executions and runs together again: whatever died, was cancelled, or never started.

Safe to run from several processes at once: each finding is settled in a transaction of its own, which looks
again under the execution's lock and leaves alone what somebody else is settling now.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.domain.execution import AttemptState, ExecutionState
from dct_pipelines.domain.gateway import RunGateway, RunInfo
from dct_pipelines.engine.aftermath import end_attempt
from dct_pipelines.engine.times import Times
from dct_pipelines.store import slots
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import Connection, leases, reading
from dct_pipelines.store.executions.rows import Attempt, Execution
from dct_pipelines.store.executions.transitions import note_run, transition

logger = logging.getLogger(__name__)
CANCELED = "CANCELED"
"""Dagster's word for a run that somebody stopped."""
TIMED_OUT = "timed out: it ran longer than its limit and did not stop; raise timeout_seconds"


@dataclass(frozen=True)
class Settled:
    """An execution that the sweep moved on: from which attempt, to which state, and why in words."""

    execution_id: UUID
    attempt: int
    status: ExecutionState
    because: str


@dataclass(frozen=True)
class SweepReport:
    """What one sweep did; as text, one line."""

    settled: tuple[Settled, ...] = ()
    freed_leases: tuple[str, ...] = ()
    freed_slots: tuple[str, ...] = ()
    reminded_runs: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = [f"execution {one.execution_id} is {one.status} ({one.because})" for one in self.settled]
        said += [f"freed {key}" for key in self.freed_leases]
        said += [f"freed the slot of {holder}" for holder in self.freed_slots]
        said += [f"told run {run_id} again to stop" for run_id in self.reminded_runs]
        said += self.faults
        return "; ".join(said) or "every execution is where it should be"


@dataclass(frozen=True)
class _Finding:
    """Why an attempt is over. `at_once`: it never had a run; `ended_run`: the run that ended in Dagster."""

    attempt: Attempt
    because: str
    ends: AttemptState = AttemptState.LOST
    at_once: bool = False
    is_stopped: bool = False
    is_overdue: bool = False
    is_silent: bool = False
    ended_run: str | None = None


@dataclass(frozen=True)
class Reconciler:
    """Finds executions whose run is no more, and gives them their next attempt or their end."""

    database: Database
    gateway: RunGateway
    times: Times = field(default_factory=Times)

    def sweep(self, start_within_seconds: float | None = None) -> SweepReport:
        """Look at everything that is dispatched or running, once. DatabaseUnavailable when it cannot.

        What cannot be settled (Dagster does not answer for that run) stays as it is for the next sweep.
        `start_within_seconds` is for who knows better than `times` when no run can come any more.
        """
        if start_within_seconds is None:
            start_within_seconds = self.times.start_within_seconds
        with self.database.begin() as connection:
            live = reading.live_attempts(connection, self.times.stale_seconds, start_within_seconds)
            overdue = set(reading.overdue(connection, self.times.overdue_grace_seconds))
            outlived = set(reading.outlived(connection))
            freed = leases.free_orphans(connection)
        settled, faults = [], []
        for attempt, is_late in live:
            try:
                finding = self._look_at(
                    attempt, is_late, attempt.execution_id in overdue, attempt.execution_id in outlived
                )
                if finding is not None and (done := self._settle(finding)) is not None:
                    settled.append(done)
            except DatabaseUnavailable:
                raise
            except Exception as error:
                logger.exception("execution %s cannot be settled now", attempt.execution_id)
                faults.append(f"execution {attempt.execution_id} cannot be settled now: {error}")
        self._end_outlived()
        return SweepReport(
            tuple(settled), tuple(freed), self._sweep_slots(), tuple(self._remind()), tuple(faults)
        )

    def _sweep_slots(self) -> tuple[str, ...]:
        """See to it that exactly the living have slots, and say whose were freed."""
        with self.database.begin() as connection:
            slots.renew_workspaces(connection)
            return tuple(slots.reclaim(connection, self.times.stale_seconds))

    def settle_lost(self, run_id: str, because: str) -> None:
        """End in Dagster a run whose process is known to be gone, as its attempt ended if it did.

        Its execution is settled by the next sweep, which finds the run over.
        """
        with self.database.connect() as connection:
            ended = reading.ended_runs(connection, [run_id], after_seconds=0)
        self._end_in_dagster(run_id, ended.get(run_id), because)

    def _end_outlived(self) -> None:
        """End in Dagster what our tables say is over long since, and what Dagster still takes for at work.

        A crash may take Dagster's last rows of a run, and a run that was overtaken may never say that it
        ended; each would hold one of Dagster's slots until its time limit.
        """
        active = [run.run_id for run in self.gateway.active_runs()]
        if not active:
            return
        with self.database.connect() as connection:
            ended = reading.ended_runs(connection, active, self.times.stale_seconds)
        for run_id, state in ended.items():
            self._end_in_dagster(run_id, state, "its attempt is over, and it did not end by itself")

    def _end_in_dagster(self, run_id: str, ended: AttemptState | None, because: str) -> None:
        if ended is AttemptState.SUCCEEDED:
            self.gateway.complete_lost_run(
                run_id, f"every action is done, and the execution ended ({because})"
            )
        else:
            self.gateway.fail_lost_run(run_id, because)

    def _look_at(
        self, attempt: Attempt, is_late: bool, is_overdue: bool, is_outlived: bool
    ) -> _Finding | None:
        if attempt.state is AttemptState.DISPATCHED:
            return self._look_at_dispatched(attempt, is_late)
        info = self.gateway.get_run(attempt.run_id) if attempt.run_id is not None else None
        if info is not None and info.is_over:
            # Whoever stopped it (an earlier sweep that died, or Dagster's own limit), nobody asked for it.
            return _timed_out(attempt, info.run_id) if is_outlived else _ended(attempt, info)
        if attempt.is_stale:
            silence = f"gave no sign of life for {self.times.stale_seconds:.0f} s"
            return _Finding(attempt, f"the process of its run {silence}", is_silent=True)
        if is_overdue:
            return _timed_out(attempt)
        return None

    def _look_at_dispatched(self, attempt: Attempt, is_late: bool) -> _Finding | None:
        runs = [run for run in self.gateway.find_runs(attempt.execution_id) if run.attempt == attempt.attempt]
        if any(not run.is_over for run in runs):
            return None
        if runs:
            return _ended(attempt, runs[-1])
        if is_late:
            return _Finding(attempt, "no run of it ever started", at_once=True)
        return None

    def _settle(self, finding: _Finding) -> Settled | None:
        attempt = finding.attempt
        with self.database.begin() as connection:
            execution = reading.try_lock(connection, attempt.execution_id)
            if execution is None or not self._is_still_so(connection, execution, finding):
                return None
            # Before our own commit: if Dagster does not take it, the next sweep finds both again.
            if finding.is_overdue and finding.ended_run is None and attempt.run_id is not None:
                self.gateway.cancel(attempt.run_id)
            elif finding.is_silent and attempt.run_id is not None:
                message = f"attempt {attempt.attempt} is over: {finding.because}"
                self.gateway.fail_lost_run(attempt.run_id, message)
            after = self._end(connection, execution, finding)
        return Settled(after.id, attempt.attempt, after.status, after.error_message or finding.because)

    def _end(self, connection: Connection, execution: Execution, finding: _Finding) -> Execution:
        if finding.ended_run is not None:
            note_run(connection, execution.id, execution.attempt, finding.ended_run)
        if finding.is_stopped and execution.cancel_requested_at is None:
            return transition(connection, execution.id, ExecutionState.CANCELLED, message=finding.because)
        return end_attempt(
            connection,
            execution,
            finding.because,
            is_transient=not finding.is_overdue,
            ends=finding.ends,
            at_once=finding.at_once,
        )

    def _is_still_so(self, connection: Connection, execution: Execution, finding: _Finding) -> bool:
        seen = finding.attempt
        if execution.attempt != seen.attempt:
            return False
        attempts = reading.attempts(connection, execution.id, self.times.stale_seconds)
        now = attempts[-1]
        if now.state is not seen.state or now.run_id != seen.run_id:
            return False
        return now.is_stale or not seen.is_stale

    def _remind(self) -> Iterator[str]:
        """Tell runs again that were asked to stop and have not."""
        with self.database.begin() as connection:
            asked = reading.cancelling(connection, self.times.stale_seconds)
        for execution_id in asked:
            for run in self.gateway.find_runs(execution_id):
                if not run.is_over and self.gateway.cancel(run.run_id):
                    yield run.run_id


def _timed_out(attempt: Attempt, ended_run: str | None = None) -> _Finding:
    return _Finding(attempt, TIMED_OUT, AttemptState.FAILED, is_overdue=True, ended_run=ended_run)


def _ended(attempt: Attempt, run: RunInfo) -> _Finding:
    if run.status == CANCELED:
        because = "its run was cancelled in Dagster"
        return _Finding(attempt, because, AttemptState.CANCELLED, is_stopped=True, ended_run=run.run_id)
    if attempt.state is AttemptState.DISPATCHED:
        because = f"its run ended as {run.status} before it began; the run's log says why"
    elif run.status == "FAILURE":
        because = "the process of its run died"
    else:
        because = "its run ended before every action was done"
    return _Finding(attempt, because, ended_run=run.run_id)
