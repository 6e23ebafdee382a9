"""What this thread is at work on, for whoever writes a log line or sends a request meanwhile.

It is set where an execution is claimed, performed or closed, so that nobody has to hand ids through every
call. A thread that an action starts by itself knows nothing of it, unless it copies the context.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class AtWork:
    """An attempt of an execution and, inside an action, that action; what is not known yet is None."""

    execution_id: UUID
    attempt: int | None = None
    trigger: str | None = None
    event_id: UUID | None = None
    action: str | None = None
    index: int | None = None


_AT_WORK: ContextVar[AtWork | None] = ContextVar("dct_at_work", default=None)


def at_work() -> AtWork | None:
    """What this thread is at work on; None outside of executions."""
    return _AT_WORK.get()


@contextmanager
def working_on(work: AtWork | None) -> Iterator[None]:
    """Be at work on it for the block; None changes nothing."""
    if work is None:
        yield
        return
    token = _AT_WORK.set(work)
    try:
        yield
    finally:
        _AT_WORK.reset(token)
