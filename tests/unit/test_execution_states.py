"""The life of an execution, as the domain allows it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.errors import IllegalTransition
from dct_pipelines.domain.execution import FINAL, TRANSITIONS, ExecutionState, check_transition
from dct_pipelines.domain.trigger import RetryPolicy
from dct_pipelines.engine.aftermath import LONGEST_BACKOFF_SECONDS, backoff_seconds
from dct_pipelines.engine.times import Times

STATES = st.sampled_from(list(ExecutionState))


@given(STATES, STATES)
def test_a_transition_is_allowed_exactly_when_it_is_listed(current: ExecutionState, to: ExecutionState):
    if to in TRANSITIONS[current]:
        check_transition(current, to)
    else:
        with pytest.raises(IllegalTransition, match=f"from {current} to {to}"):
            check_transition(current, to)


@given(st.lists(STATES, max_size=30))
def test_nothing_leaves_completed_however_it_is_pushed(pushes: list[ExecutionState]):
    current = ExecutionState.COMPLETED
    for to in pushes:
        with pytest.raises(IllegalTransition):
            check_transition(current, to)


def test_every_state_can_still_end():
    reach = {state: set(TRANSITIONS[state]) for state in ExecutionState}
    for _ in ExecutionState:
        for onward in reach.values():
            onward |= {further for state in list(onward) for further in reach[state]}
    assert all(state in FINAL or onward & FINAL for state, onward in reach.items())


@given(st.floats(0, 3600, allow_nan=False), st.integers(0, 100), st.integers(1, 100))
def test_pauses_grow_and_are_bounded(pause: float, earlier: int, more: int):
    policy = RetryPolicy(backoff_seconds=pause)
    first, later = backoff_seconds(policy, earlier), backoff_seconds(policy, earlier + more)
    assert pause == backoff_seconds(policy, 1)
    assert first <= later <= max(pause, LONGEST_BACKOFF_SECONDS)


@given(st.floats(0.1, 100), st.floats(0.1, 100), st.floats(0.1, 100))
def test_bounds_that_would_let_two_attempts_work_are_refused(beat: float, fence: float, stale: float):
    if beat < fence < stale:
        Times(heartbeat_seconds=beat, self_fence_seconds=fence, stale_seconds=stale)
    else:
        with pytest.raises(ValueError, match="stop itself"):
            Times(heartbeat_seconds=beat, self_fence_seconds=fence, stale_seconds=stale)
