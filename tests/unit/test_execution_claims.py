"""May this run work on this execution? Every case, without a database."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.execution import AttemptState, ExecutionState
from dct_pipelines.engine.claims import Ask, Keep, Refuse, Start, Verdict, decide
from dct_pipelines.engine.identity import RunIdentity
from dct_pipelines.store.executions.rows import Attempt
from tests.support.rows import EXECUTION_ID, make_execution

S, A = ExecutionState, AttemptState
LIVE_AS = {S.DISPATCHED: A.DISPATCHED, S.RUNNING: A.RUNNING}


def attempts(status: ExecutionState, count: int, *, stale: bool = False) -> tuple[Attempt, ...]:
    """Earlier attempts are lost; the last one is as the execution's status says. Runs are named `run-1`..."""
    last = LIVE_AS.get(status, A.FAILED)
    return tuple(
        Attempt(
            execution_id=EXECUTION_ID,
            attempt=number,
            state=last if number == count else A.LOST,
            run_id=None if number == count and last is A.DISPATCHED else f"run-{number}",
            started_at=None,
            error_message=None,
            is_stale=stale and number == count and last is A.RUNNING,
        )
        for number in range(1, count + 1)
    )


def run(run_id: str = "new", attempt: int | None = 1, parent: str | None = None) -> RunIdentity:
    return RunIdentity(run_id, "job", EXECUTION_ID, attempt, parent)


def verdict(
    status: ExecutionState,
    count: int,
    identity: RunIdentity,
    *,
    stale: bool = False,
    over: Mapping[str, bool] | None = None,
) -> Verdict:
    return decide(identity, make_execution(status, count), attempts(status, count, stale=stale), over or {})


def test_the_dispatched_run_claims_its_attempt():
    assert verdict(S.DISPATCHED, 2, run(attempt=2)) == Start(claims=True)


def test_the_claimant_keeps_what_it_holds():
    assert verdict(S.RUNNING, 2, run("run-2", 2)) == Keep()


def test_a_run_whose_attempt_was_lost_is_told_so():
    answer = verdict(S.RUNNING, 2, run("run-1", 1))
    assert isinstance(answer, Refuse)
    assert answer.was_held
    assert "ended as lost" in answer.because


def test_before_a_claimant_is_overtaken_dagster_is_asked():
    again = run(parent="run-1")
    assert verdict(S.RUNNING, 1, again) == Ask("run-1")
    assert verdict(S.RUNNING, 1, again, over={"run-1": True}) == Start(claims=False)
    assert isinstance(verdict(S.RUNNING, 1, again, over={"run-1": False}), Refuse)


def test_a_stale_claimant_is_overtaken_without_asking():
    assert verdict(S.RUNNING, 1, run(parent="run-1"), stale=True) == Start(claims=False)


@pytest.mark.parametrize("status", [S.WAITING, S.FAILED, S.CANCELLED, S.AWAITING_DELIVERABLES])
def test_what_rests_is_taken_up_by_people_only(status: ExecutionState):
    assert verdict(status, 2, run(attempt=1, parent="run-1")) == Start(claims=False)
    assert verdict(status, 2, run(attempt=None)) == Start(claims=False)
    assert isinstance(verdict(status, 2, run(attempt=2)), Refuse)


@pytest.mark.parametrize("status", [S.COMPLETED, S.AWAITING_APPROVAL, S.COMPENSATING])
def test_what_is_done_or_not_ours_to_go_on_with_is_left_alone(status: ExecutionState):
    for identity in (run(attempt=2), run(attempt=None), run(parent="run-1")):
        assert isinstance(verdict(status, 2, identity), Refuse)


@given(
    st.sampled_from(list(ExecutionState)),
    st.integers(1, 5),
    st.one_of(st.none(), st.integers(1, 6)),
    st.booleans(),
    st.booleans(),
)
def test_a_live_claimant_is_never_overtaken(
    status: ExecutionState, count: int, attempt: int | None, is_re_execution: bool, knows: bool
):
    identity = run(attempt=attempt, parent="run-1" if is_re_execution else None)
    answer = verdict(status, count, identity, over={f"run-{count}": False} if knows else {})
    if status is S.RUNNING:
        assert isinstance(answer, Refuse | Ask)
    if isinstance(answer, Start) and answer.claims:
        assert (status, attempt) == (S.DISPATCHED, count)
    if isinstance(answer, Start) and not answer.claims:
        assert identity.is_by_hand
