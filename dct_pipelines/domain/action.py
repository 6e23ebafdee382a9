"""What an action plug-in is: one frozen constant `ACTION` of a configuration model and functions over ports.

An action gets everything it may touch through `ActionPorts`. A dry run hands it ports whose writing
methods record what they would do, so no action asks whether it is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from dct_pipelines.domain.outcome import Outcome
from dct_pipelines.domain.ports import ActionPorts


class ActionConfig(BaseModel):
    """Base of every action's configuration: what a trigger's author writes. Strings may be templates."""

    model_config = ConfigDict(frozen=True, extra="forbid")


A = TypeVar("A", bound=ActionConfig)


class Recovery(StrEnum):
    """What is done when an attempt died in the middle of an action, which may or may not have happened."""

    CHECK = "check"
    """`run` asks the provider first and does only what is missing: run it again."""
    KEY = "key"
    """The receiver deduplicates by our idempotency key: run it again with the same key."""
    UNCERTAIN = "uncertain"
    """Nobody can tell: it is not sent again, and shown as uncertain."""


@dataclass(frozen=True)
class ActionContext:
    """What an action knows about the execution it runs in.

    `idempotency_key` is the same in every attempt. `log` writes a line into the run's log;
    `is_cancelled` is asked by long work between its steps; `deadline` is the execution's time limit.
    `started_before` says that an earlier attempt died while doing this action.
    `made_by` is how our writes are marked (commit trailers, notes).
    """

    execution_id: UUID
    attempt: int
    index: int
    name: str
    idempotency_key: str
    trigger_name: str
    subject: str | None
    deadline: datetime | None
    started_before: bool
    log: Callable[[str], None]
    is_cancelled: Callable[[], bool]

    @property
    def made_by(self) -> str:
        """The mark that our own writes carry."""
        return f"dct-execution {self.execution_id}"


def _no_leases(_config: Any) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class ActionType(Generic[A]):
    """An action type. `leases` names what must be held while it acts, e.g. `environment:qa`.

    `opens_workspace` says whether it makes the workspace of its name, whose slot is taken before it acts;
    `agents` how many agents it starts, each of which takes a slot of its own.

    `outputs` names what `run` puts into its outcome's outputs, so that templates over
    `steps.<name>.<output>` can be checked when a trigger is saved. `example` is a valid configuration.
    """

    kind: str
    summary: str
    config: type[A]
    recovery: Recovery
    run: Callable[[ActionContext, A, ActionPorts], Outcome]
    outputs: frozenset[str]
    example: Mapping[str, Any]
    is_untrusted: bool = False
    """Whether nobody here vouches for its own code: each run gets a worker that does nothing else."""
    leases: Callable[[A], tuple[str, ...]] = field(default=_no_leases)
    opens_workspace: Callable[[A], bool] = field(default=lambda _config: False)
    agents: Callable[[A], int] = field(default=lambda _config: 0)
