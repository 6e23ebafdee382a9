"""Quotas as operators see and change them: what is in force and why, what is in use, what a change means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dct_pipelines.domain.errors import InvalidInput, NotFound, NotPermitted
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.quotas import HIGH_PRIORITY, Quota, Quotas, Usage
from dct_pipelines.registry import nearest
from dct_pipelines.settings import QUOTA_SETTINGS
from dct_pipelines.store import quotas, slots
from dct_pipelines.store.database import Connection, Database

HIGHEST = 1_000_000
OFF = "quotas are off (TRIGGER_RESOURCE_LIMITS_ENABLED=false): nothing of this limits anything"


class QuotaInForce(Fact):
    """A quota, where it comes from, and what is in use of it; `in_use` of a percentage is None.

    `set_by` and `set_at` are None when `setting` says it; `default` is what that says.
    """

    name: Quota
    value: int
    setting: str
    default: int
    set_by: str | None
    set_at: datetime | None
    in_use: int | None


class QuotaReport(Fact):
    """Every quota. `reserved_agents` of the agents are kept for high priority."""

    is_enabled: bool
    quotas: tuple[QuotaInForce, ...]
    reserved_agents: int
    standard_agents: int
    """How many agents work of standard priority may have."""
    standard_agents_in_use: int


class QuotaChange(Fact):
    """What setting a quota changes, or would; `follows` says what that means for what is at work."""

    name: Quota
    before: int
    after: int
    follows: tuple[str, ...]


@dataclass(frozen=True)
class QuotaService:
    """Shows and changes quotas. `defaults` are those of the settings."""

    database: Database
    defaults: Quotas

    def in_force(self) -> Quotas:
        """The quotas as they are now."""
        with self.database.connect() as connection:
            return quotas.in_force(connection, self.defaults)

    def show(self) -> QuotaReport:
        """The quotas as they are now, where each comes from, and what is in use."""
        with self.database.connect() as connection:
            in_force = quotas.in_force(connection, self.defaults)
            set_ = quotas.set_by_operators(connection)
            usage = slots.usage(connection)
        told = (self._told(quota, in_force, set_.get(quota), usage) for quota in Quota)
        return QuotaReport(
            is_enabled=in_force.enabled,
            quotas=tuple(told),
            reserved_agents=in_force.agents - in_force.standard_agents,
            standard_agents=in_force.standard_agents,
            standard_agents_in_use=usage.standard_agents,
        )

    def set(self, name: str, value: int, by: str, *, dry_run: bool = False) -> QuotaChange:
        """Set a quota; it counts from the next start of work on, and stops nothing.

        Raises NotFound with the nearest name, InvalidInput for a value that means nothing, NotPermitted
        unless `by` is an operator or admin.
        """
        quota = _quota(name)
        highest = 100 if quota is Quota.AGENT_RESERVATION_PERCENT else HIGHEST
        if not 0 <= value <= highest:
            raise InvalidInput(f"{quota} is a number from 0 to {highest:,}, not {value}")
        return self._change(quota, value, by, dry_run)

    def unset(self, name: str, by: str, *, dry_run: bool = False) -> QuotaChange:
        """Let the setting count again; as `set` otherwise."""
        return self._change(_quota(name), None, by, dry_run)

    def _told(
        self, quota: Quota, in_force: Quotas, set_: quotas.SetQuota | None, usage: Usage
    ) -> QuotaInForce:
        return QuotaInForce(
            name=quota,
            value=getattr(in_force, quota),
            setting=QUOTA_SETTINGS[quota],
            default=getattr(self.defaults, quota),
            set_by=set_.set_by if set_ is not None else None,
            set_at=set_.set_at if set_ is not None else None,
            in_use=getattr(usage, quota, None),
        )

    def _change(self, quota: Quota, value: int | None, by: str, dry_run: bool) -> QuotaChange:
        # who only looks at quotas needs no definitions
        from dct_pipelines.domain.roles import quotas_fault
        from dct_pipelines.engine.manage.stored import load
        from dct_pipelines.store.definitions import people

        with self.database.begin() as connection:
            if message := quotas_fault(load(connection).role(by)):
                raise NotPermitted(message)
            before = quotas.in_force(connection, self.defaults)
            new = getattr(self.defaults, quota) if value is None else value
            changed: dict[str, Any] = {quota: new}
            after = replace(before, **changed)
            if not dry_run:
                _store(connection, quota, value, by)
                detail = {"from": getattr(before, quota), "to": new}
                people.audit(connection, by, "unset" if value is None else "set", "quota", quota, detail)
            usage = slots.usage(connection)
        follows = tuple(_follows(quota, after, usage))
        return QuotaChange(name=quota, before=getattr(before, quota), after=new, follows=follows)


def _quota(name: str) -> Quota:
    known = frozenset(quota.value for quota in Quota)
    if name not in known:
        raise NotFound(f"there is no quota {name!r}; {nearest(name, known)}")
    return Quota(name)


def _store(connection: Connection, quota: Quota, value: int | None, by: str) -> None:
    if value is None:
        quotas.remove(connection, quota)
    else:
        quotas.put(connection, quota, value, by)


def _follows(quota: Quota, after: Quotas, usage: Usage) -> Iterator[str]:
    """Sentences about what the change means now."""
    if not after.enabled:
        yield OFF
        return
    bounds = {
        Quota.EXECUTIONS: ("executions", usage.executions, after.executions),
        Quota.AGENTS: ("agents", usage.agents, after.agents),
        Quota.WORKSPACES: ("workspaces", usage.workspaces, after.workspaces),
    }
    standard = (f"agents below priority {HIGH_PRIORITY}", usage.standard_agents, after.standard_agents)
    affected = [bounds[quota]] if quota in bounds else []
    if quota in (Quota.AGENTS, Quota.AGENT_RESERVATION_PERCENT):
        affected.append(standard)
        kept = after.agents - after.standard_agents
        yield f"{kept} of {after.agents} agents are kept for priority {HIGH_PRIORITY} and above"
    for what, used, bound in affected:
        if used > bound:
            yield f"{what} in use: {used}; nothing is stopped, and nothing new starts above {bound}"
        elif bound == 0:
            yield f"no {what} start until it is raised"
