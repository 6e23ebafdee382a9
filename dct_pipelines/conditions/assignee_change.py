"""A ticket's assignee changed."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, model_validator

from dct_pipelines.domain.changes import judge_change, judge_present, side_of_person
from dct_pipelines.domain.condition import ConditionConfig, ConditionType, expect
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.matching import Name, same_name, same_person
from dct_pipelines.domain.payloads import AssigneeChanged
from dct_pipelines.domain.snapshot import Snapshot, TicketState
from dct_pipelines.domain.verdict import Verdict
from dct_pipelines.domain.words import ItemKind


class AssigneeChange(ConditionConfig):
    """From whom, to whom, by id, name or address; `nobody` is an unassigned ticket."""

    from_user: Name | None = Field(default=None, description="id, name or address, or `nobody`")
    to_user: Name | None = Field(default=None, description="id, name or address, or `nobody`")

    @model_validator(mode="after")
    def _is_a_change(self) -> AssigneeChange:
        if self.from_user is not None and same_name(self.from_user, self.to_user):
            raise ValueError(f"from_user and to_user are both {self.to_user!r}: that never happens")
        return self


def _test(config: AssigneeChange, event: Event) -> Verdict:
    change = expect(event.payload, AssigneeChanged)
    before, after = side_of_person(change.from_user), side_of_person(change.to_user)
    is_same = same_person(change.from_user, change.to_user)
    return judge_change("assignee", before, after, config.from_user, config.to_user, is_same=is_same)


def _is_true(config: AssigneeChange, snapshot: Snapshot, _at: datetime) -> Verdict:
    ticket = expect(snapshot.state, TicketState)
    return judge_present("assignee", side_of_person(ticket.assignee), config.from_user, config.to_user)


CONDITION = ConditionType(
    kind="assignee_change",
    summary="a ticket gets another assignee, or none",
    config=AssigneeChange,
    item_kinds=frozenset({ItemKind.JIRA_TICKET, ItemKind.JIRA_QUERY}),
    event_kinds=frozenset({"assignee_changed"}),
    state_kinds=frozenset({"ticket"}),
    test=_test,
    is_true=_is_true,
    example={"to_user": "qa@example.com"},
)
