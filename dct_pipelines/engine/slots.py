"""Taking slots where the effect is: before an action opens a workspace, before an agent starts."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from dct_pipelines.domain.quotas import AgentClass, Quotas, SlotKind
from dct_pipelines.engine.times import Times
from dct_pipelines.store import quotas, slots
from dct_pipelines.store.database import Database
from dct_pipelines.store.executions import reading
from dct_pipelines.store.executions.rows import Execution
from dct_pipelines.store.patience import patiently
from dct_pipelines.store.slots import Slot


@dataclass(frozen=True)
class Slots:
    """Slots for the holders of one process. `defaults` are the quotas of the settings.

    A workspace's slot is given back by whoever archives it, in the same transaction. An agent renews its slot
    as often as an attempt its heartbeat, and ends itself when it has lost it. The sweep frees those of the
    dead.
    """

    database: Database
    defaults: Quotas
    times: Times

    def take_workspace(self, execution: Execution, workspace_id: UUID) -> None:
        """Take it, or keep it from an earlier attempt; QuotaFull, StaleAttempt. Waits for the database."""
        self._take(execution, SlotKind.WORKSPACE, workspace_id, None)

    def take_agent(self, execution: Execution, agent_id: UUID, of_class: AgentClass) -> None:
        """The same for an agent that works in this execution, and may outlive it."""
        self._take(execution, SlotKind.AGENT, agent_id, of_class)

    def renew_agent(self, agent_id: UUID) -> bool:
        """A sign of life of the agent; False when its slot was reclaimed: then it has to end."""
        with self.database.begin() as connection:
            return slots.renew(connection, agent_id)

    def give_back_agent(self, agent_id: UUID) -> None:
        """The agent has ended. Repeatable."""

        def write() -> None:
            with self.database.begin() as connection:
                slots.give_back(connection, SlotKind.AGENT, agent_id)

        patiently(write, self.times.record_wait_seconds)

    def _take(self, execution: Execution, kind: SlotKind, holder: UUID, of_class: AgentClass | None) -> None:
        slot = Slot(kind, holder, of_class, execution.id, execution.attempt)

        def write() -> None:
            with self.database.begin() as connection:
                reading.fence(connection, execution.id, execution.attempt)
                slots.take(connection, slot, quotas.in_force(connection, self.defaults))

        patiently(write, self.times.record_wait_seconds)
