"""Short ways to the facts that rules are tested on: events, snapshots, assessments, trigger versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from dct_pipelines import registry
from dct_pipelines.domain.compiled import CompiledTrigger, compile_trigger
from dct_pipelines.domain.event import Cause, Event
from dct_pipelines.domain.facts import Approval, Person
from dct_pipelines.domain.payloads import BranchAssessed, CheckReported, Payload, PullRequestAssessed
from dct_pipelines.domain.snapshot import Snapshot, State
from dct_pipelines.domain.trigger import TriggerSpec, TriggerVersion
from dct_pipelines.domain.verdict import Verdict
from dct_pipelines.domain.words import CheckState, TriggerStatus
from tests.fakes.ports import NOON

SPACE = UUID("00000000-0000-4000-8000-000000000f00")
ITEM = UUID("00000000-0000-4000-8000-000000000f01")
OTHER_ITEM = UUID("00000000-0000-4000-8000-000000000f02")
HEAD = "a" * 40
TARGET_HEAD = "b" * 40


def id_of(*names: object) -> UUID:
    """The same id for the same names."""
    return uuid5(SPACE, repr(names))


def event_of(payload: Payload, *, cause: Cause | None = None, **fields: Any) -> Event:
    """An event at noon on the item."""
    branch = getattr(payload, "branch", None)
    values: dict[str, Any] = {
        "id": id_of(payload, fields),
        "seq": 1,
        "connection_id": SPACE,
        "item_id": ITEM,
        "subject": f"refs/heads/{branch}" if branch else "PAY-7",
        "dedup_key": "1",
        "occurred_at": NOON,
        "observed_at": NOON,
    }
    return Event(payload=payload, cause=cause, **(values | fields))


def snapshot_of(state: State, subject: str = "PAY-7", item_id: UUID = ITEM) -> Snapshot:
    """A snapshot at noon."""
    return Snapshot(item_id=item_id, subject=subject, state=state, observed_at=NOON)


def assessed(**fields: Any) -> BranchAssessed:
    """A branch that is ready for `main`, the default."""
    ready: dict[str, Any] = {
        "branch": "feature/x",
        "head": HEAD,
        "target": "main",
        "target_head": TARGET_HEAD,
        "is_default_target": True,
        "ahead": 2,
        "behind": 0,
        "merges_cleanly": True,
    }
    return BranchAssessed(**(ready | fields))


def reported(name: str, checks: Mapping[str, CheckState], branch: str = "feature/x") -> CheckReported:
    """The report of one of the checks."""
    return CheckReported(branch=branch, head=HEAD, name=name, state=checks[name], checks=dict(checks))


def request(**fields: Any) -> PullRequestAssessed:
    """An open pull request from `feature/x` to `main`."""
    given: dict[str, Any] = {"number": 5, "head": HEAD, "source": "feature/x", "target": "main"}
    return PullRequestAssessed(**(given | fields))


def opinion(user: str, state: str = "approved", head: str = HEAD, **fields: Any) -> Approval:
    """What a reviewer said."""
    is_bot = fields.pop("is_bot", False)
    user_id = fields.pop("user_id", user)
    person = Person(id=user_id, name=user, is_bot=is_bot)
    return Approval.model_validate({"user": person, "head": head, "state": state} | fields)


def verdict_of(kind: str, config: Mapping[str, Any], payload: Payload) -> Verdict:
    """What a condition says of an event."""
    condition = registry.condition(kind)
    return condition.test(condition.config.model_validate(dict(config)), event_of(payload))


def holds(kind: str, config: Mapping[str, Any], state: State, at: datetime = NOON) -> Verdict:
    """What a condition says of a state."""
    condition = registry.condition(kind)
    return condition.is_true(condition.config.model_validate(dict(config)), snapshot_of(state), at)


def version_of(
    conditions: Sequence[Mapping[str, Any]],
    *,
    name: str = "sample",
    items: Sequence[UUID] = (ITEM,),
    status: TriggerStatus = TriggerStatus.ACTIVE,
    active_since: datetime = NOON - timedelta(days=1),
    **spec: Any,
) -> TriggerVersion:
    """A trigger version that notifies."""
    given: dict[str, Any] = {
        "name": name,
        "items": [f"item-{place}" for place, _ in enumerate(items)],
        "conditions": list(conditions),
        "actions": [{"type": "notify_users"}],
    }
    return TriggerVersion(
        trigger_id=id_of("trigger", name),
        version=1,
        status=status,
        spec=TriggerSpec.model_validate(given | spec),
        item_ids=tuple(items),
        from_seq=0,
        active_since=active_since,
    )


def compiled(conditions: Sequence[Mapping[str, Any]], **fields: Any) -> CompiledTrigger:
    """The same, ready to be decided on."""
    return compile_trigger(version_of(conditions, **fields), registry.conditions())


def condition(kind: str, **config: Any) -> dict[str, Any]:
    """One condition of a trigger."""
    return {"type": kind, "config": config}
