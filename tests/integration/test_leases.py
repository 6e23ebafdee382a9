"""Leases: what an action holds alone, how long, and who may take it away."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from dct_pipelines.domain.errors import ActionFailed, ExecutionCancelled, LeaseBusy, StaleAttempt
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.outcome import done
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import reading
from tests.support.stage import Killed, Stage

pytestmark = pytest.mark.integration
QA = [{"environment": "qa"}]


@pytest.fixture
def stage(database: Database):
    stage = Stage(database)
    yield stage
    stage.stop()


class Asking(list[str]):
    """A log; when the first line is written to it, something is asked for."""

    def __init__(self, ask: Callable[[], object]) -> None:
        super().__init__()
        self.ask = ask

    def append(self, line: str) -> None:
        super().append(line)
        self.ask()


def hold_qa_and_die(stage: Stage):
    """An execution whose process died while it held qa."""

    def dies(*_):
        raise Killed

    stage.behaviours["key"] = dies
    execution_id, run = stage.claimed("key", configs=QA)
    with pytest.raises(Killed):
        stage.perform(run)
    return execution_id, run


def test_a_holder_that_shows_life_again_keeps_its_lease(stage: Stage):
    holder, _ = stage.claimed("check")
    stage.lease("environment:qa", holder)
    stage.age_heartbeat(holder)
    execution_id, run = stage.claimed("key", configs=QA)
    raised: list[BaseException] = []

    def takes() -> None:
        try:
            stage.process().perform(run, 0, stage.log.append)
        except LeaseBusy as busy:
            raised.append(busy)

    thread = threading.Thread(target=takes)
    with stage.database.begin() as recording:
        reading.lock(recording, holder)
        thread.start()
        while not stage.somebody_waits():
            assert thread.is_alive()
        stage.executor.beat()
    thread.join()
    assert len(raised) == 1
    assert stage.attempts(holder) == ["running"]
    assert stage.leases() == {"environment:qa": (holder, 1)}
    assert stage.state(execution_id) is ExecutionState.WAITING


def test_a_lease_is_held_while_the_action_acts_and_not_longer(stage: Stage):
    held = []

    def looks(*_):
        held.append(stage.leases())
        return done("looked")

    stage.behaviours["check"] = looks
    execution_id, run = stage.claimed("check", configs=QA)
    stage.perform(run)
    assert held == [{"environment:qa": (execution_id, 1)}]
    assert stage.leases() == {}


def test_a_lease_is_given_back_when_the_action_fails(stage: Stage):
    def broken(*_):
        raise ActionFailed("no")

    stage.behaviours["check"] = broken
    _, run = stage.claimed("check", configs=QA)
    with pytest.raises(ActionFailed):
        stage.perform(run)
    assert stage.leases() == {}


def test_an_action_waits_for_its_turn_says_for_whom_and_gives_up_in_bounds(stage: Stage):
    holder, _ = stage.claimed("check")
    stage.lease("environment:qa", holder)
    execution_id, run = stage.claimed("check", configs=QA)
    with pytest.raises(LeaseBusy, match="gave up after"):
        stage.perform(run)
    assert stage.log == [f"waits: environment qa is held by execution {holder}"]
    assert stage.effects == []
    row = stage.row(execution_id)
    assert (row.status, row.wait_reason) == ("waiting", "environment_busy")
    assert str(holder) in row.wait_detail
    assert row.not_before is not None
    assert stage.leases() == {"environment:qa": (holder, 1)}


def test_waiting_for_others_uses_up_no_attempt(stage: Stage):
    holder, _ = stage.claimed("check")
    stage.lease("environment:qa", holder)
    limits = {"retry": {"max_attempts": 2, "backoff_seconds": 0}}
    execution_id = stage.execution("check", configs=QA, limits=limits, dispatched=False)
    for _ in range(3):
        run = stage.run(execution_id, stage.dispatch(execution_id))
        with pytest.raises(LeaseBusy):
            stage.perform(run)
        assert stage.result(execution_id) is None
    assert stage.attempts(execution_id) == ["cancelled"] * 3
    with stage.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM dct.leases")
    stage.perform(stage.run(execution_id, stage.dispatch(execution_id)))
    assert len(stage.effects) == 1


def test_one_that_waits_for_others_and_was_asked_to_stop_stops(stage: Stage):
    holder, _ = stage.claimed("check")
    stage.lease("environment:qa", holder)
    execution_id, run = stage.claimed("check", configs=QA)
    ask_to_stop = stage.process()
    stage.log = Asking(lambda: ask_to_stop.cancel(execution_id, "kim"))
    with pytest.raises((LeaseBusy, ExecutionCancelled)):
        stage.perform(run)
    assert stage.row(execution_id).error_message == "cancelled by kim"
    assert stage.state(execution_id) is ExecutionState.CANCELLED


def test_an_action_gets_its_lease_as_soon_as_the_holder_is_done(stage: Stage):
    holds, may_end = threading.Event(), threading.Event()

    def first_waits(context, *_):
        stage.effects.append(context.name)
        if context.name == "check":
            holds.set()
            assert may_end.wait(20)
        stage.effects.append(f"{context.name} done")
        return done("did it")

    stage.behaviours = {"check": first_waits, "key": first_waits}
    _, first = stage.claimed("check", configs=QA)
    _, second = stage.claimed("key", configs=QA)

    def wait_until_it_waits(line: str) -> None:
        stage.log.append(line)
        may_end.set()

    thread = threading.Thread(target=stage.perform, args=(first,))
    thread.start()
    assert holds.wait(20)
    stage.process().perform(second, 0, wait_until_it_waits)
    thread.join()
    assert stage.effects == ["check", "check done", "key", "key done"]


def test_many_executions_never_act_on_the_same_environment_at_once(stage: Stage):
    inside, together = [], []

    def alone(context, *_):
        inside.append(context.execution_id)
        together.append(len(inside))
        inside.remove(context.execution_id)
        return done("did it")

    stage.behaviours["check"] = alone
    runs = [stage.claimed("check", configs=QA)[1] for _ in range(6)]
    outcomes: list[str] = []

    def work(run) -> None:
        try:
            outcomes.append(stage.process().perform(run, 0, stage.log.append).state)
        except LeaseBusy:
            outcomes.append("busy")

    threads = [threading.Thread(target=work, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(together) == {1}
    assert len(outcomes) == 6
    assert "done" in outcomes
    assert stage.leases() == {}


def test_the_lease_of_a_dead_holder_is_taken_over_and_the_holder_fenced_off(stage: Stage):
    holder, old = stage.claimed("key")
    stage.lease("environment:qa", holder)
    stage.executor.release(old)
    stage.age_heartbeat(holder)
    execution_id, run = stage.claimed("check", configs=QA)
    stage.perform(run)
    assert stage.state(holder) is ExecutionState.WAITING
    assert stage.attempts(holder) == ["lost"]
    assert "while it held environment qa" in (stage.read(holder).error_message or "")
    with pytest.raises(StaleAttempt):
        stage.perform(old)
    assert stage.state(execution_id) is ExecutionState.RUNNING


def test_a_next_attempt_takes_over_what_its_own_earlier_one_held(stage: Stage):
    execution_id, run = hold_qa_and_die(stage)
    stage.kill(run)
    stage.reconciler.sweep()
    del stage.behaviours["key"]
    second = stage.run(execution_id, stage.dispatch(execution_id))
    stage.executor.claim(second)
    assert stage.perform(second).state == "done"


def test_waiting_for_a_lease_ends_when_the_execution_is_cancelled(stage: Stage):
    holder, _ = stage.claimed("check")
    stage.lease("environment:qa", holder)
    execution_id, run = stage.claimed("check", configs=QA)

    def cancel_when_it_waits(_line: str) -> None:
        stage.executor.cancel(execution_id, "kim")
        stage.executor.beat()

    with pytest.raises(ExecutionCancelled):
        stage.executor.perform(run, 0, cancel_when_it_waits)
    assert stage.state(execution_id) is ExecutionState.CANCELLED


def test_an_attempt_that_lost_its_execution_gets_no_lease(stage: Stage):
    execution_id, run = stage.claimed("check", "key", configs=[{}, *QA])

    def overtaken_meanwhile(*_):
        stage.executor.release(run)
        stage.age_heartbeat(execution_id)
        stage.process().claim(stage.run(execution_id, 1, parent=run.run_id))
        return done("did it")

    stage.behaviours["check"] = overtaken_meanwhile
    with pytest.raises(StaleAttempt):
        stage.perform(run, 0)
    with pytest.raises(StaleAttempt):
        stage.perform(run, 1)
    assert stage.leases() == {}


def test_a_lease_ends_with_the_attempt_that_took_it(stage: Stage):
    execution_id, run = stage.claimed("check")
    stage.lease("environment:qa", execution_id)
    stage.kill(run)
    stage.reconciler.sweep()
    assert stage.attempts(execution_id) == ["lost"]
    assert stage.leases() == {}
