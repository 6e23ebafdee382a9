"""Performing one action of an execution: fenced, leased, recorded before and after, recovered by its type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from dct_pipelines.domain.action import ActionContext, ActionType, Recovery
from dct_pipelines.domain.at_work import working_on
from dct_pipelines.domain.errors import ActionFailed, InvalidInput, StaleAttempt
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.opening import workspace_id_of
from dct_pipelines.domain.outcome import Outcome
from dct_pipelines.domain.ports import ActionPorts, Clock, FindEvent
from dct_pipelines.domain.words import ResultState
from dct_pipelines.engine.attempts import Attempts, Refused
from dct_pipelines.engine.heartbeat import Hold
from dct_pipelines.engine.identity import SKIPPED, ActionReport, RunIdentity
from dct_pipelines.engine.leases import Leases
from dct_pipelines.engine.prepare import Prepared, bounded, idempotency_key, prepare, scope_of
from dct_pipelines.engine.recording import Recorder
from dct_pipelines.engine.slots import Slots
from dct_pipelines.engine.watch import Watch
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions.rows import Execution, Result, Step
from dct_pipelines.store.patience import patiently
from dct_pipelines.store.watching import events

PortsFor = Callable[[Execution, FindEvent], ActionPorts]


@dataclass(frozen=True)
class Work:
    """One action in one attempt. `previous` is what an earlier attempt recorded of it, if it got so far."""

    hold: Hold
    index: int
    step: Step
    action: ActionType[Any]
    previous: Result | None
    watch: Watch
    log: Callable[[str], None]


@dataclass(frozen=True)
class Performer:
    """Performs actions. No transaction is open while an action works."""

    database: Database
    attempts: Attempts
    leases: Leases
    slots: Slots
    recorder: Recorder
    clock: Clock
    ports_for: PortsFor
    action_type: Callable[[str], ActionType[Any]]

    def perform(
        self,
        run: RunIdentity,
        index: int,
        log: Callable[[str], None],
        is_cancelled: Callable[[], bool],
    ) -> ActionReport:
        """Do the action unless it is settled, and report it; what stops it is recorded, then raised."""
        hold = self.attempts.held(run)
        if hold is None or index in hold.results:
            taken = self.attempts.take(run)
            if isinstance(taken, Refused):
                return _refused(taken, log)
            hold = taken
        previous = hold.results.get(index)
        if previous is not None and previous.state.is_settled:
            log(f"{previous.name} was settled by attempt {previous.attempt}: {previous.summary}")
            return _repeated(previous)
        watch = Watch(hold.execution, hold, self.attempts.heartbeats, self.clock, is_cancelled)
        with working_on(hold.at(index)):
            return self._watched(hold, index, watch, log)

    def _watched(self, hold: Hold, index: int, watch: Watch, log: Callable[[str], None]) -> ActionReport:
        try:
            return self._work(self._work_for(hold, index, watch, log))
        except Exception as error:
            self.attempts.release(hold)
            verdict = self.recorder.failed(hold, index, watch.verdict_on(error))
            if verdict is error:
                raise
            raise verdict from error
        except BaseException:
            # The run is being killed: what it leaves is found by the sweep, which asks Dagster why.
            self.attempts.release(hold)
            raise

    def _work_for(self, hold: Hold, index: int, watch: Watch, log: Callable[[str], None]) -> Work:
        steps = hold.execution.steps
        if not 0 <= index < len(steps):
            raise InvalidInput(f"the execution has no action {index + 1}, only {len(steps)}; run its own job")
        for at, earlier in enumerate(steps[:index]):
            result = hold.results.get(at)
            if result is None or not result.state.is_settled:
                raise ActionFailed(f"{steps[index].name} needs {earlier.name} first; re-execute from there")
        step = steps[index]
        return Work(hold, index, step, self.action_type(step.type), hold.results.get(index), watch, log)

    def _work(self, work: Work) -> ActionReport:
        work.watch.check()
        if _is_uncertain(work):
            return self._leave_uncertain(work)
        hold, index = work.hold, work.index
        execution = hold.execution
        prepared = prepare(work.action, work.step, scope_of(execution, hold.results, index))
        with self.leases.hold(
            execution.id,
            execution.attempt,
            prepared.leases,
            interruption=work.watch.interruption,
            log=work.log,
        ):
            if prepared.opens_workspace:
                self.slots.take_workspace(execution, workspace_id_of(execution.id, work.step.name))
            self.recorder.started(hold, index, prepared.rendered)
            if hold.is_cancel_requested:
                work.watch.check()
            outcome = self._act(work, prepared)
            outputs, summary = bounded(outcome)
            report = ActionReport(outcome.status.value, summary, outputs, outcome.links)
            return self.recorder.settled(hold, index, report, log=work.log)

    def _act(self, work: Work, prepared: Prepared) -> Outcome:
        execution = work.hold.execution
        context = ActionContext(
            execution_id=execution.id,
            attempt=execution.attempt,
            index=work.index,
            name=work.step.name,
            idempotency_key=idempotency_key(execution.id, work.index),
            trigger_name=execution.trigger_name,
            subject=execution.subject,
            deadline=execution.deadline_at,
            started_before=work.previous is not None,
            log=work.log,
            is_cancelled=work.watch.must_stop,
        )
        ports = work.hold.ports
        if ports is None:
            ports = work.hold.ports = self.ports_for(execution, partial(self._event, execution))
        return work.action.run(context, prepared.config, ports)

    def _leave_uncertain(self, work: Work) -> ActionReport:
        earlier = work.previous.attempt if work.previous is not None else 0
        summary = (
            f"attempt {earlier} died while doing this, and nobody can tell whether it happened; "
            "it is not done again"
        )
        work.log(f"{work.step.name} is uncertain: {summary}")
        report = ActionReport(ResultState.UNCERTAIN.value, summary, {})
        return self.recorder.settled(work.hold, work.index, report, log=work.log)

    def _event(self, execution: Execution) -> Event | None:
        wanted = execution.event_id
        if wanted is None:
            return None

        def read() -> Event | None:
            with self.database.at_once() as connection:
                return events.get(connection, wanted)

        return patiently(read, self.attempts.times.record_wait_seconds)


def _refused(refused: Refused, log: Callable[[str], None]) -> ActionReport:
    if refused.was_held:
        raise StaleAttempt(f"{refused.because}; nothing more is done in this run")
    log(f"nothing is done here: {refused.because}")
    return ActionReport(SKIPPED, refused.because, {})


def _is_uncertain(work: Work) -> bool:
    return (
        work.previous is not None
        and work.previous.state is ResultState.STARTED
        and work.action.recovery is Recovery.UNCERTAIN
    )


def _repeated(result: Result) -> ActionReport:
    return ActionReport(result.state.value, result.summary, result.outputs, result.links, is_repeat=True)
