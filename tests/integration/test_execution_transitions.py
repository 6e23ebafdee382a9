"""However an execution is pushed around, its rows agree with each other."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from dct_pipelines.domain.errors import IllegalTransition
from dct_pipelines.domain.execution import TRANSITIONS, AttemptState, ExecutionState
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import leases, reading
from dct_pipelines.store.executions.transitions import RunStart, transition
from tests.support.stage import Stage

pytestmark = pytest.mark.integration
S = ExecutionState
LIVE = {S.DISPATCHED: AttemptState.DISPATCHED, S.RUNNING: AttemptState.RUNNING}


@pytest.fixture
def stage(database: Database):
    return Stage(database)


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


@given(pushes=st.lists(st.tuples(st.sampled_from(list(S)), st.booleans()), max_size=15))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_agree_after_any_walk_and_an_illegal_step_changes_nothing(stage: Stage, pushes):
    execution_id = stage.execution(dispatched=False)
    current, told = S.WAITING, 0
    for turn, (to, claims) in enumerate(pushes):
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


def test_only_a_run_takes_an_execution_to_running(stage: Stage):
    execution_id = stage.execution()
    with pytest.raises(IllegalTransition, match="only a run"), stage.database.begin() as connection:
        transition(connection, execution_id, S.RUNNING)
    assert stage.state(execution_id) is S.DISPATCHED
