"""Small fakes of ports, and `ActionPorts` made of fakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from dct_pipelines.domain.action import ActionContext
from dct_pipelines.domain.errors import CredentialRefused
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.ports import ActionPorts
from tests.fakes.channels import FakeChannel
from tests.fakes.connections import FakeConnections
from tests.fakes.deployers import FakeDeployer, FakeSuites
from tests.fakes.git import FakeGit
from tests.fakes.library import FakeLibrary
from tests.fakes.processes import FakeProcesses
from tests.fakes.records import FakeRecords
from tests.fakes.workspaces import FakeWorkspaceFiles

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EXECUTION = UUID("00000000-0000-4000-8000-00000000e001")


class FakeClock:
    """Time that moves only when told to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def advance(self, **duration: float) -> None:
        self.time += timedelta(**duration)


class FakeSecrets:
    """Secrets from a mapping."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = dict(values or {})

    def read(self, reference: str) -> str:
        if reference not in self.values:
            raise CredentialRefused(f"{reference} holds no secret; set it")
        return self.values[reference]

    def forget(self, reference: str) -> None:
        pass


def action_context(
    name: str = "step",
    *,
    execution_id: UUID = EXECUTION,
    started_before: bool = False,
    is_cancelled: Callable[[], bool] = lambda: False,
    log: list[str] | None = None,
    **changes: Any,
) -> ActionContext:
    """The context of an action in the first attempt of an execution."""
    lines = [] if log is None else log
    return ActionContext(
        execution_id=execution_id,
        attempt=2 if started_before else 1,
        index=0,
        name=name,
        idempotency_key=str(uuid5(execution_id, name)),
        trigger_name="ship-it",
        subject="feature/pay",
        deadline=None,
        started_before=started_before,
        log=lines.append,
        is_cancelled=is_cancelled,
        **changes,
    )


def fake_ports(*, event: Event | None = None, **changes: Any) -> ActionPorts:
    """Fakes for everything that an action may touch; `changes` replaces some of them."""
    fakes: dict[str, Any] = {
        "clock": FakeClock(),
        "secrets": FakeSecrets(),
        "git": FakeGit(),
        "processes": FakeProcesses(),
        "library": FakeLibrary(),
        "records": FakeRecords(),
        "deployers": {"local": FakeDeployer()},
        "suites": FakeSuites(),
        "workspaces": FakeWorkspaceFiles(),
        "channels": {"outbox": FakeChannel()},
        "connections": FakeConnections(),
        "find_event": lambda: event,
    }
    return ActionPorts(**(fakes | changes))
