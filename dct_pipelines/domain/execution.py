"""The life of an execution and of its attempts: states, legal transitions, and nothing else.

An execution is one firing of one trigger; each attempt is one Dagster run. The attempt's number is
the fencing number: a write by an older attempt is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from dct_pipelines.domain.errors import IllegalTransition


class ExecutionState(StrEnum):
    """Every state an execution can be in; the last three are final, but a retry may reopen two."""

    WAITING = "waiting"
    DISPATCHED = "dispatched"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    AWAITING_DELIVERABLES = "awaiting_deliverables"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing happens any more unless somebody retries it."""
        return self in FINAL


class AttemptState(StrEnum):
    """States of one attempt. `lost`: its run died, never started, or was overtaken."""

    DISPATCHED = "dispatched"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


class TriggeredBy(StrEnum):
    """What started an execution."""

    EVENT = "event"
    MANUAL = "manual"
    REPLAY = "replay"


_S = ExecutionState
FINAL = frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELLED})
OPEN = tuple(state.value for state in ExecutionState if state not in FINAL)
"""The others, as the database has them: an index on the state finds these, and not what is not final."""
HOLDING = frozenset({_S.DISPATCHED, _S.RUNNING, _S.COMPENSATING})
TRANSITIONS: Mapping[ExecutionState, frozenset[ExecutionState]] = {
    _S.WAITING: frozenset({_S.DISPATCHED, _S.RUNNING, _S.CANCELLED}),
    _S.DISPATCHED: frozenset({_S.WAITING, _S.DISPATCHED, _S.RUNNING, _S.FAILED, _S.CANCELLED}),
    _S.RUNNING: frozenset(
        {
            _S.WAITING,
            _S.DISPATCHED,
            _S.RUNNING,
            _S.AWAITING_APPROVAL,
            _S.AWAITING_DELIVERABLES,
            _S.COMPENSATING,
            _S.COMPLETED,
            _S.FAILED,
            _S.CANCELLED,
        }
    ),
    _S.AWAITING_APPROVAL: frozenset({_S.WAITING, _S.RUNNING, _S.FAILED, _S.CANCELLED}),
    _S.AWAITING_DELIVERABLES: frozenset({_S.RUNNING, _S.COMPLETED, _S.FAILED, _S.CANCELLED}),
    _S.COMPENSATING: frozenset({_S.FAILED, _S.CANCELLED}),
    _S.COMPLETED: frozenset(),
    _S.FAILED: frozenset({_S.WAITING, _S.RUNNING}),
    _S.CANCELLED: frozenset({_S.WAITING, _S.RUNNING}),
}
"""From each state to the states it may go to. `waiting → running` is a run that somebody launched by
hand; `failed → running` a re-execution in the Dagster UI; a state to itself is a new attempt."""


def check_transition(current: ExecutionState, to: ExecutionState) -> None:
    """Raise IllegalTransition unless an execution may go from `current` to `to`."""
    if to not in TRANSITIONS[current]:
        raise IllegalTransition(
            f"an execution cannot go from {current} to {to}; "
            f"from {current} it may go to {', '.join(sorted(TRANSITIONS[current])) or 'nothing'}"
        )
