"""A ticket's priority changed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, model_validator

from dct_pipelines.domain.changes import judge_change, judge_present, side_of_text
from dct_pipelines.domain.condition import ConditionConfig, ConditionType, expect
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.matching import Name, fold, same_name
from dct_pipelines.domain.payloads import PriorityChanged
from dct_pipelines.domain.snapshot import Snapshot, TicketState
from dct_pipelines.domain.verdict import Verdict, no
from dct_pipelines.domain.words import ItemKind


class PriorityChange(ConditionConfig):
    """From which priority, to which, in which direction; what is not given is any."""

    from_priority: Name | None = None
    to_priority: Name | None = None
    direction: Literal["raised", "lowered"] | None = Field(
        default=None, description="needs a provider that says how its priorities are ordered"
    )

    @model_validator(mode="after")
    def _is_a_change(self) -> PriorityChange:
        if self.from_priority is not None and same_name(self.from_priority, self.to_priority):
            raise ValueError(
                f"from_priority and to_priority are both {self.to_priority!r}: that never happens"
            )
        return self


def _test(config: PriorityChange, event: Event) -> Verdict:
    change = expect(event.payload, PriorityChanged)
    before, after = side_of_text(change.from_priority), side_of_text(change.to_priority)
    is_same = fold(change.from_priority or "") == fold(change.to_priority or "")
    verdict = judge_change(
        "priority", before, after, config.from_priority, config.to_priority, is_same=is_same
    )
    if not verdict.fired or config.direction is None:
        return verdict
    if change.from_rank is None or change.to_rank is None:
        return no(f"{verdict.because}, but which of the two is higher is not known")
    if change.from_rank == change.to_rank:
        return no(f"{verdict.because}, which are equally high")
    direction = "raised" if change.to_rank > change.from_rank else "lowered"
    return verdict if direction == config.direction else no(f"{verdict.because}, which is {direction}")


def _is_true(config: PriorityChange, snapshot: Snapshot, _at: datetime) -> Verdict:
    ticket = expect(snapshot.state, TicketState)
    if config.direction is not None:
        return no(f"whether priority was {config.direction} is only seen when it changes")
    return judge_present("priority", side_of_text(ticket.priority), config.from_priority, config.to_priority)


CONDITION = ConditionType(
    kind="priority_change",
    summary="a ticket's priority changes, or is raised or lowered",
    config=PriorityChange,
    item_kinds=frozenset({ItemKind.JIRA_TICKET, ItemKind.JIRA_QUERY}),
    event_kinds=frozenset({"priority_changed"}),
    state_kinds=frozenset({"ticket"}),
    test=_test,
    is_true=_is_true,
    example={"to_priority": "Highest", "direction": "raised"},
)
