"""Quotas: how much may be at work at the same time in the whole deployment, and what is in use now.

They hold where the effect is (rows of `slots`) and are looked at earlier, in admission, so that nothing
starts that would only wait. Zero is a valid quota: nothing of that kind starts until somebody raises it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

HIGH_PRIORITY = 8
"""From this priority on an execution may use the reserved agents."""
UNLIMITED = 10**9
"""Stands for no limit: more than there ever is of anything, and a number like any other bound."""


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


class SlotKind(StrEnum):
    """What holds a slot for as long as it lives."""

    AGENT = "agent"
    WORKSPACE = "workspace"


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


def most_runs(quotas: Quotas, here: int = UNLIMITED) -> int:
    """How many runs may be at work at once: as many as the quota allows, and as there is room for `here`."""
    return min(quotas.executions if quotas.enabled else UNLIMITED, here)


def refusal(quotas: Quotas, usage: Usage, kind: SlotKind, of_class: AgentClass | None) -> str | None:
    """Why one more workspace, or agent of that class, has no room; None when it has."""
    if not quotas.enabled:
        return None
    if kind is SlotKind.WORKSPACE:
        if usage.workspaces < quotas.workspaces:
            return None
        taken = f"all {quotas.workspaces} workspaces are taken"
        return f"{taken}; archive one, or raise it with `dct quota set {Quota.WORKSPACES}`"
    if usage.agents >= quotas.agents:
        return f"all {quotas.agents} agents are taken; raise it with `dct quota set {Quota.AGENTS}`"
    if of_class is AgentClass.STANDARD and usage.standard_agents >= quotas.standard_agents:
        kept = quotas.agents - quotas.standard_agents
        return (
            f"all {quotas.standard_agents} agents of standard priority are taken, "
            f"and {kept} are kept for priority {HIGH_PRIORITY} and above"
        )
    return None
