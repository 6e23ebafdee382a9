"""Random histories: what is kept is exactly what the rule says, worked out again in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from dct_pipelines.domain.retention import RetentionPolicy, month_of
from dct_pipelines.engine.pacing import Pace
from dct_pipelines.engine.retention import Retention
from dct_pipelines.store import months as making
from dct_pipelines.store import partitions, tables
from dct_pipelines.store.database import Database
from tests.fakes.ports import NOON
from tests.support.history import History

pytestmark = pytest.mark.integration
DAYS, KEY_DAYS = 60, 120
ages = st.integers(0, 200)


@dataclass
class Happened:
    """An event, and what came of it."""

    age: int
    ended_after: int | None
    fires: bool
    has_workspace: bool
    is_deployed: bool
    replayed_after: int | None

    id: UUID = field(init=False)
    executions: dict[UUID, datetime | None] = field(init=False, default_factory=dict)

    @property
    def at(self) -> datetime:
        return NOON - timedelta(days=self.age)


happenings = st.builds(
    Happened,
    age=ages,
    ended_after=st.none() | st.integers(0, 100),
    fires=st.booleans(),
    has_workspace=st.sampled_from([False, False, False, True]),
    is_deployed=st.sampled_from([False, False, True]),
    replayed_after=st.none() | st.integers(0, 100),
)


@pytest.fixture
def history(database: Database) -> History:
    return History.of(database)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happened=st.lists(happenings, max_size=12), own_months=st.booleans())
def test_what_is_kept_is_what_the_rule_says(history: History, happened: list[Happened], own_months: bool):
    clear(history)
    if own_months:
        make_months(history)
    environment = history.environment()
    deployed: list[tuple[datetime, UUID]] = []
    has_workspace: set[UUID] = set()
    for one in sorted(happened, key=lambda one: -one.age):
        one.id = history.event(one.at)
        if one.fires:
            ended = None if one.ended_after is None else min(one.at + timedelta(days=one.ended_after), NOON)
            execution = history.execution(one.id, one.at, ended)
            one.executions[execution] = ended
            history.decision(one.id, one.at, execution)
            if one.has_workspace:
                history.workspace(execution)
                has_workspace.add(execution)
            if one.is_deployed and ended:
                history.deployment(execution, environment, ended)
                deployed.append((ended, execution))
        if one.replayed_after is not None:
            again = min(one.at + timedelta(days=one.replayed_after), NOON)
            one.executions[history.execution(one.id, again, again)] = again
    sweep(history)

    cutoff, month = NOON - timedelta(days=DAYS), month_of(NOON - timedelta(days=DAYS))
    latest = max((at for at, _ in deployed), default=None)
    current = {execution for at, execution in deployed if at == latest}
    executions, events, keys = set[UUID](), set[UUID](), set[UUID]()
    for one in happened:
        stays = {
            execution
            for execution, ended in one.executions.items()
            if ended is None or ended >= cutoff or execution in current | has_workspace
        }
        executions |= stays
        if stays or one.at >= month:
            events.add(one.id)
        if one.id in events or one.age <= KEY_DAYS:
            keys.add(one.id)
    assert history.ids(tables.trigger_executions) == executions
    assert history.ids(tables.action_results, "execution_id") == executions
    assert history.ids(tables.events) == events
    assert history.ids(tables.event_keys, "event_id") == keys
    decided = {one.id for one in happened if one.fires}
    assert history.ids(tables.decisions, "event_id") == events & decided


def sweep(history: History) -> None:
    pace = Pace(pause=lambda _: None, fewest=3)
    policy = RetentionPolicy(DAYS, KEY_DAYS)
    retention = Retention(history.database, history.world.clock, policy, pace)
    steps: list[Any] = [retention.executions, retention.payloads, retention.snapshots, retention.keys]
    for step in steps:
        step()


def make_months(history: History) -> None:
    """A partition for each month of the last seven, where there is none."""
    for payload in partitions.PAYLOADS:
        months = {month_of(NOON - timedelta(days=days)) for days in range(210)}
        with history.database.begin() as connection:
            there = {one.name for one in partitions.listed(connection, payload)}
            for month in months:
                if partitions.name_of(payload, month) not in there:
                    making.make(connection, payload, month)


def clear(history: History) -> None:
    everything = "trigger_executions, events, decisions, event_keys, workspaces, environments"
    named = ", ".join(f"dct.{name}" for name in everything.split(", "))
    with history.database.begin() as connection:
        connection.execute(text(f"TRUNCATE {named} CASCADE"))
