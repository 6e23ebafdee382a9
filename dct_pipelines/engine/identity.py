"""What a run says of itself, and what the executor answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.outcome import Link

SKIPPED = "skipped"
"""State of an action's report when the run does not hold the execution: nothing was done or recorded."""


@dataclass(frozen=True)
class RunIdentity:
    """A Dagster run and the tags that tie it to an execution.

    `execution_id` and `attempt` are None in a run that somebody launched without a trigger. `parent_run_id`
    is set in a re-execution, whose other tags are copies of its parent's.
    """

    run_id: str
    job_name: str
    execution_id: UUID | None = None
    attempt: int | None = None
    parent_run_id: str | None = None

    @property
    def is_by_hand(self) -> bool:
        """Whether a person started it, not the dispatcher."""
        return self.parent_run_id is not None or self.attempt is None


@dataclass(frozen=True)
class Claim:
    """Whether the run works on the execution. When `is_noop` the run ends at once; `because` says why."""

    execution_id: UUID
    attempt: int
    is_noop: bool
    because: str


@dataclass(frozen=True)
class ActionReport:
    """How an action stands: a `ResultState`'s value, or `skipped`. `is_repeat`: an earlier attempt did it."""

    state: str
    summary: str
    outputs: Mapping[str, Any]
    links: tuple[Link, ...] = ()
    is_repeat: bool = False


@dataclass(frozen=True)
class CloseReport:
    """How the execution stands now. `missing` names deliverables that are not there, each with the reason.

    When `is_noop` the run had nothing to close, and `because` says why.
    """

    status: ExecutionState
    missing: tuple[str, ...] = ()
    because: str = ""
    is_noop: bool = False
