"""A ticket's status changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import model_validator

from dct_pipelines.domain.changes import judge_change, judge_present, side_of_text
from dct_pipelines.domain.condition import ConditionConfig, ConditionType, Finder, expect
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.matching import Name, fold, same_name
from dct_pipelines.domain.payloads import StatusChanged
from dct_pipelines.domain.snapshot import Snapshot, TicketState
from dct_pipelines.domain.verdict import Verdict
from dct_pipelines.domain.words import ItemKind


class StatusChange(ConditionConfig):
    """From which status, to which; what is not given is any."""

    from_status: Name | None = None
    to_status: Name | None = None

    @model_validator(mode="after")
    def _is_a_change(self) -> StatusChange:
        if self.from_status is not None and same_name(self.from_status, self.to_status):
            raise ValueError(f"from_status and to_status are both {self.to_status!r}: that never happens")
        return self


def _test(config: StatusChange, event: Event) -> Verdict:
    change = expect(event.payload, StatusChanged)
    before, after = side_of_text(change.from_status), side_of_text(change.to_status)
    is_same = same_name(change.to_status, change.from_status)
    return judge_change("status", before, after, config.from_status, config.to_status, is_same=is_same)


def _is_true(config: StatusChange, snapshot: Snapshot, _at: datetime) -> Verdict:
    ticket = expect(snapshot.state, TicketState)
    return judge_present("status", side_of_text(ticket.status), config.from_status, config.to_status)


def _finder(configs: Sequence[StatusChange]) -> Finder:
    by_status: dict[str, list[int]] = {}
    for place, config in enumerate(configs):
        by_status.setdefault(fold(config.to_status or ""), []).append(place)

    def find(event: Event) -> list[int]:
        status = fold(expect(event.payload, StatusChanged).to_status)
        return [*by_status.get("", ()), *by_status.get(status, ())]

    return find


CONDITION = ConditionType(
    kind="status_change",
    summary="a ticket's status changes",
    config=StatusChange,
    item_kinds=frozenset({ItemKind.JIRA_TICKET, ItemKind.JIRA_QUERY}),
    event_kinds=frozenset({"status_changed"}),
    state_kinds=frozenset({"ticket"}),
    test=_test,
    is_true=_is_true,
    example={"from_status": "In Progress", "to_status": "Ready for QA"},
    finder=_finder,
)
