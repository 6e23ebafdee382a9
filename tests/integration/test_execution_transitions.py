"""However an execution is pushed around, its rows agree with each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select, text

from dct_pipelines.domain.errors import IllegalTransition
from dct_pipelines.domain.execution import TRANSITIONS, AttemptState, ExecutionState
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import leases, reading
from dct_pipelines.store.executions.transitions import RunStart, claim_untried, complete, transition
from tests.support.stage import Stage

pytestmark = pytest.mark.integration
S = ExecutionState
T = TypeVar("T")
CLAIM, COMPLETE = "claim at once", "complete at once"
LIVE = {S.DISPATCHED: AttemptState.DISPATCHED, S.RUNNING: AttemptState.RUNNING}


@pytest.fixture
def stage(database: Database):
    stage = Stage(database)
    yield stage
    stage.stop()


def push(stage: Stage, execution_id: UUID, to: ExecutionState, claims: bool, turn: int) -> None:
    run = RunStart(f"run-{execution_id}-{turn}", "here:1", claims=claims) if to is S.RUNNING else None
    with stage.database.begin() as connection:
        after = transition(connection, execution_id, to, run=run, message=f"turn {turn}")
        if to is S.RUNNING:
            assert leases.take_free(connection, f"environment:{execution_id}", execution_id, after.attempt)


def check_rows(stage: Stage, execution_id: UUID, expected: ExecutionState) -> None:
    row = stage.row(execution_id)
    with stage.database.begin() as connection:
        attempts = reading.attempts(connection, execution_id, 30)
    assert row.status == expected
    assert [one.attempt for one in attempts] == list(range(1, row.attempt + 1))
    live = [one for one in attempts if one.is_live]
    assert [one.state for one in live] == ([LIVE[expected]] if expected in LIVE else [])
    assert all(one.attempt == row.attempt for one in live)
    assert (row.completed_at is not None) is expected.is_final
    assert (row.deadline_at is None) or row.started_at is not None
    holds = [holder for holder, _ in stage.leases().values() if holder == execution_id]
    assert len(holds) <= (1 if expected is S.RUNNING else 0)


def claim_at_once(stage: Stage, execution_id: UUID, turn: int) -> bool:
    """Whether a run has taken it by one statement, as whoever looks closely would have found it."""
    before = stage.row(execution_id)
    run = RunStart(f"swift-{execution_id}-{turn}", "here:1", claims=True)
    with stage.database.begin() as connection:
        taken = claim_untried(connection, execution_id, run)
    assert (taken is not None) is (before.status == S.DISPATCHED and before.attempt == 1)
    if taken is None:
        assert stage.row(execution_id) == before
        return False
    with stage.database.begin() as connection:
        assert taken == reading.lock(connection, execution_id)
    return True


def complete_at_once(stage: Stage, execution_id: UUID, age: int) -> bool:
    """Whether the run of that attempt, counted back from now, has completed it by one statement."""
    before = stage.row(execution_id)
    with stage.database.begin() as connection:
        seen = reading.lock(connection, execution_id)
        is_done = complete(connection, replace(seen, attempt=seen.attempt - age), ())
    assert is_done is (before.status == S.RUNNING and age == 0)
    assert is_done or stage.row(execution_id) == before
    return is_done


@given(
    pushes=st.lists(
        st.tuples(st.sampled_from([*S, S.DISPATCHED, CLAIM, COMPLETE]), st.booleans()), max_size=15
    )
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_agree_after_any_walk_and_an_illegal_step_changes_nothing(stage: Stage, pushes):
    execution_id = stage.execution(dispatched=False)
    current, told = S.WAITING, 0
    for turn, (to, claims) in enumerate(pushes):
        if to in (CLAIM, COMPLETE):
            if to == CLAIM and claim_at_once(stage, execution_id, turn):
                current, told = S.RUNNING, told + 1
            elif to == COMPLETE and complete_at_once(stage, execution_id, int(claims)):
                current, told = S.COMPLETED, told + 1
            check_rows(stage, execution_id, current)
            continue
        is_legal = to in TRANSITIONS[current] and not (
            to is S.RUNNING and claims and current is not S.DISPATCHED
        )
        if is_legal:
            push(stage, execution_id, to, claims, turn)
            current, told = to, told + 1
        else:
            with pytest.raises(IllegalTransition):
                push(stage, execution_id, to, claims, turn)
        check_rows(stage, execution_id, current)
    wanted = select(tables.activity.c.id).where(tables.activity.c.execution_id == execution_id)
    with stage.database.begin() as connection:
        assert len(connection.execute(wanted).all()) == told


def meanwhile(stage: Stage, execution_id: UUID, change: str, then: Callable[[Connection], T]) -> T:
    """What `then` finds that began while another transaction, which it has to wait for, made the change."""
    with ThreadPoolExecutor(1) as threads, stage.database.begin() as other:
        other.execute(
            text(f"UPDATE dct.trigger_executions SET {change} WHERE id = :id"), {"id": execution_id}
        )

        def run() -> T:
            with stage.database.begin() as connection:
                return then(connection)

        answer = threads.submit(run)
        while not stage.somebody_waits():
            assert not answer.done()
        other.commit()
        return answer.result(20)


@pytest.mark.parametrize(
    "change",
    ["cancel_requested_at = now(), cancel_requested_by = 'local'", "attempt = 2", "status = 'waiting'"],
)
def test_a_claim_at_once_sees_what_was_written_while_it_waited_for_the_row(stage: Stage, change: str):
    execution_id = stage.execution()
    run = RunStart("swift", "here:1", claims=True)
    taken = meanwhile(stage, execution_id, change, lambda open_: claim_untried(open_, execution_id, run))
    assert taken is None
    assert stage.row(execution_id).dagster_run_id is None
    assert "running" not in stage.attempts(execution_id)


def test_what_another_attempt_took_over_meanwhile_is_not_completed(stage: Stage):
    execution_id, _ = stage.claimed("check")
    with stage.database.begin() as connection:
        seen = reading.lock(connection, execution_id)
    assert not meanwhile(stage, execution_id, "attempt = 2", lambda open_: complete(open_, seen, ()))
    assert stage.state(execution_id) is S.RUNNING
    assert stage.attempts(execution_id) == ["running"]


def test_only_a_run_takes_an_execution_to_running(stage: Stage):
    execution_id = stage.execution()
    with pytest.raises(IllegalTransition, match="only a run"), stage.database.begin() as connection:
        transition(connection, execution_id, S.RUNNING)
    assert stage.state(execution_id) is S.DISPATCHED
