"""Room: what is left of the quotas while one pass admits, and what is kept for whom.

High priority may use every agent; standard priority may not use the reserved ones, however long it has
waited. What has aged to the highest priority and lacks room for all that it needs keeps what is free: else
work that needs less would always be quicker. It keeps nothing of the reserve from high priority.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dct_pipelines.domain.quotas import UNLIMITED, AgentClass, Quota, Quotas, SlotKind, Usage, refusal

NO_QUOTAS = Quotas(UNLIMITED, UNLIMITED, 0, UNLIMITED)


@dataclass
class Room:
    """Agents by class and workspaces, in use and kept. `usage` is as of the begin of the pass."""

    quotas: Quotas = NO_QUOTAS
    usage: Usage = field(default_factory=Usage)
    kept_agents: dict[AgentClass, int] = field(default_factory=lambda: dict.fromkeys(AgentClass, 0))
    kept_workspaces: int = 0

    def __post_init__(self) -> None:
        standard = self.usage.standard_agents
        self._agents = {AgentClass.STANDARD: standard, AgentClass.HIGH: self.usage.agents - standard}
        self._workspaces = self.usage.workspaces

    def lacks_agents(self, count: int, of_class: AgentClass) -> str | None:
        """Why so many more agents of that class have no room; None when they have."""
        if not count or not self.quotas.enabled:
            return None
        most = self._most_agents(of_class)
        if count > most:
            return f"it needs {count} agents, and {of_class} priority may have {most}; {_raise(Quota.AGENTS)}"
        if self._fits(count, of_class):
            return None
        used = Usage(agents=sum(self._agents.values()), standard_agents=self._agents[AgentClass.STANDARD])
        if (full := refusal(self.quotas, used, SlotKind.AGENT, of_class)) is not None:
            return full
        free = min(most - self._agents[of_class], self.quotas.agents - used.agents)
        return f"it needs {count} agents; {free} are free, or kept for what has waited longer"

    def lacks_workspaces(self, count: int) -> str | None:
        """Why so many more workspaces have no room; None when they have."""
        if not count or not self.quotas.enabled:
            return None
        most = self.quotas.workspaces
        if self._workspaces + self.kept_workspaces + count <= most:
            return None
        if count > most:
            return f"it needs {count} workspaces, and there may be {most}; {_raise(Quota.WORKSPACES)}"
        full = refusal(self.quotas, Usage(workspaces=self._workspaces), SlotKind.WORKSPACE, None)
        free = most - self._workspaces
        return full or f"it needs {count} workspaces; {free} are free, or kept for what has waited longer"

    def take(self, agents: int, of_class: AgentClass, workspaces: int) -> None:
        """Count what an admitted execution will take."""
        self._agents[of_class] += agents
        self._workspaces += workspaces

    def keep(self, agents: int, of_class: AgentClass, workspaces: int) -> None:
        """Keep for an execution what it needs, unless it could never have that."""
        if agents <= self._most_agents(of_class) and workspaces <= self.quotas.workspaces:
            self.kept_agents[of_class] += agents
            self.kept_workspaces += workspaces

    def _most_agents(self, of_class: AgentClass) -> int:
        return self.quotas.standard_agents if of_class is AgentClass.STANDARD else self.quotas.agents

    def _fits(self, count: int, of_class: AgentClass) -> bool:
        standard, high = self._agents[AgentClass.STANDARD], self._agents[AgentClass.HIGH]
        kept_standard, kept_high = self.kept_agents[AgentClass.STANDARD], self.kept_agents[AgentClass.HIGH]
        standard_room = max(0, self.quotas.standard_agents - standard)
        used = standard + high + count
        kept = min(kept_standard, standard_room) + kept_high
        if of_class is AgentClass.STANDARD:
            return kept_standard + count <= standard_room and used + kept <= self.quotas.agents
        reserve = self.quotas.agents - self.quotas.standard_agents
        has_reserve = high + kept_high + count <= reserve
        return used <= self.quotas.agents and (has_reserve or used + kept <= self.quotas.agents)


def _raise(quota: Quota) -> str:
    return f"raise it with `dct quota set {quota}`, or cancel it"
