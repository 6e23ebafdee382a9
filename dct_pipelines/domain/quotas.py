"""Quotas: how much may be at work at the same time in the whole deployment, and what is in use now.

They hold where the effect is (rows of `slots`) and are looked at earlier, in admission, so that nothing
starts that would only wait. Zero is a valid quota: nothing of that kind starts until somebody raises it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

HIGH_PRIORITY = 8
"""From this priority on an execution may use the reserved agents."""


class Quota(StrEnum):
    """The names of quotas, as operators, the table and the API say them."""

    EXECUTIONS = "executions"
    """Executions at work, and Dagster runs by hand, at the same time."""
    AGENTS = "agents"
    AGENT_RESERVATION_PERCENT = "agent_reservation_percent"
    """Share of the agents that only executions of high priority may use."""
    WORKSPACES = "workspaces"
    """Live workspaces; they outlive the runs that made them."""


class AgentClass(StrEnum):
    """Whether an agent may use what is reserved for high priority."""

    STANDARD = "standard"
    HIGH = "high"


def agent_class(priority: int) -> AgentClass:
    """The class of the agents of an execution whose trigger has this priority."""
    return AgentClass.HIGH if priority >= HIGH_PRIORITY else AgentClass.STANDARD


@dataclass(frozen=True)
class Quotas:
    """The quotas in force. `enabled` False: nothing of this limits anything."""

    executions: int
    agents: int
    agent_reservation_percent: int
    workspaces: int
    enabled: bool = True

    @property
    def standard_agents(self) -> int:
        """How many agents work of standard priority may have: what is reserved is kept free of it."""
        return self.agents - self.agents * self.agent_reservation_percent // 100


@dataclass(frozen=True)
class Usage:
    """What is in use of each quota. `standard_agents` are among `agents`."""

    executions: int = 0
    agents: int = 0
    standard_agents: int = 0
    workspaces: int = 0
