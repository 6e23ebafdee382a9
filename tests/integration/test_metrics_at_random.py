"""Whatever happened, the tables say what an independent calculation does: retries, open ends, skews."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dct_pipelines.domain.metrics import Grain, Span
from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.domain.words import ReadOutcome
from dct_pipelines.engine.metrics import MetricsService
from dct_pipelines.store.database import Database
from tests.support.measured import TRIGGERS, Ground
from tests.support.pasts import AUTUMN, LENGTH, SPRING, busy_days, deliveries, histories
from tests.support.reckoning import reads, trend
from tests.support.reckoning.delivered import business
from tests.support.reckoning.ended import executions, responses
from tests.support.reckoning.failed import failures
from tests.support.reckoning.figures import Rows, buckets, ended_in, in_utc
from tests.support.reckoning.held import utilization, waits
from tests.support.reckoning.reads import Watched, health
from tests.support.reckoning.slowest import USUAL, slowest
from tests.support.reckoning.trend import Used, plan

pytestmark = pytest.mark.integration
QUOTAS = Quotas(executions=5, agents=4, agent_reservation_percent=30, workspaces=3)
LIMITS = {"executions": 5, "agents": 4, "workspaces": 3}
AGEING_SECONDS = 300.0
few = settings(
    max_examples=settings().max_examples // 8,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
often = settings(few, max_examples=settings().max_examples // 3)
"""For histories that are dense, and soon looked at."""
beginnings = st.sampled_from([SPRING, AUTUMN])
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
"""Of the sessions with the database."""


def metrics(database: Database, *, enabled: bool = True) -> MetricsService:
    return MetricsService(database, replace(QUOTAS, enabled=enabled), AGEING_SECONDS)


def compare(service: MetricsService, name: str, span: Span, expected: Rows) -> None:
    """That the table holds these rows and no other once it is computed."""
    service.refresh(name, span)
    keys = service.tables[name].keys
    found = {(row["bucket"], *(row[key] for key in keys)): row for row in service.rows(name, span)}
    assert sorted(found) == sorted(expected), name
    for key, wanted in expected.items():
        got = {column: found[key][column] for column in wanted}
        assert got == {column: near(value) for column, value in wanted.items()}, (name, key)
    told = {column.name for column in service.tables[name].columns} - set(keys)
    assert not expected or told == set(next(iter(expected.values()))), "a column that nobody calculates"


def near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=2e-6) if isinstance(value, float) else value


def spans(since: datetime, length: timedelta = LENGTH) -> list[Span]:
    return [Span(grain, since, since + length) for grain in Grain]


def test_every_history_is_measured_as_an_independent_calculation_measures_it(database: Database):
    ground = Ground(database)

    @few
    @given(data=st.data(), since=beginnings, zone=zones, enabled=st.sampled_from([True, True, False]))
    def check(data: st.DataObject, since: datetime, zone: str, enabled: bool) -> None:
        ground.zone = zone
        told = data.draw(histories(since))
        ground.keep(told)
        history, service = in_utc(told), metrics(database, enabled=enabled)
        limits = {name: quota if enabled else None for name, quota in LIMITS.items()}
        for span in spans(since):
            compare(service, "execution_metrics", span, executions(history, span))
            compare(service, "response_times", span, responses(history, span))
            compare(service, "queue_metrics", span, waits(history, span, AGEING_SECONDS))
            compare(service, "resource_utilization", span, utilization(history, span, limits))
            compare(service, "failure_analysis", span, failures(history, span))
            compare(service, "business_metrics", span, business(history, span))
            ended = Counter(ended_in(past, span) for past in history)
            assert service.counted(span) == {at: ended[at] for at in buckets(span) if ended[at]}

    check()


def test_deliveries_that_meet_each_other_are_those_of_an_independent_calculation(database: Database):
    ground, service = Ground(database), metrics(database)

    @often
    @given(data=st.data(), since=beginnings)
    def check(data: st.DataObject, since: datetime) -> None:
        told = data.draw(deliveries(since))
        ground.keep(told)
        history = in_utc(told)
        within = Span(Grain.HOUR, since + timedelta(hours=8), since + timedelta(hours=15))
        for span in (*spans(since), within, *spans(since, timedelta(days=9))):
            compare(service, "business_metrics", span, business(history, span))
        span = Span(Grain.DAY, since, since + LENGTH)
        compare(service, "queue_metrics", span, waits(history, span, AGEING_SECONDS))
        compare(service, "resource_utilization", span, utilization(history, span, LIMITS))
        compare(service, "failure_analysis", span, failures(history, span))

    check()


def test_connections_are_measured_as_an_independent_calculation_measures_them(database: Database):
    service = metrics(database)
    outcomes = st.sampled_from([ReadOutcome.OK, *ReadOutcome])
    minutes = st.one_of(st.integers(-300, 3200), st.sampled_from([0, 60, 1440, 2880]))

    @few
    @given(data=st.data(), since=beginnings)
    def check(data: st.DataObject, since: datetime) -> None:
        moments = minutes.map(lambda n: since + timedelta(minutes=n))
        watched = st.builds(
            Watched,
            name=st.sampled_from(["site", "team", "mail"]),
            kind=st.sampled_from(["jira", "slack"]),
            created_at=st.just(since - timedelta(days=9)) | moments,
            polls=st.lists(st.tuples(moments, outcomes), max_size=12)
            | st.lists(st.tuples(moments, outcomes), max_size=12).map(sorted),
            events=st.lists(moments, max_size=8),
        )
        told = data.draw(st.lists(watched, max_size=3, unique_by=lambda one: one.name))
        with database.begin() as connection:
            reads.keep(connection, told)
        for span in spans(since):
            compare(service, "integration_health", span, health(told, span))

    check()


def test_slow_triggers_are_those_of_an_independent_calculation(database: Database):
    ground, service = Ground(database), metrics(database)

    @few
    @given(data=st.data(), since=beginnings)
    def check(data: st.DataObject, since: datetime) -> None:
        told = data.draw(busy_days(since - USUAL, since + LENGTH, len(TRIGGERS)))
        ground.keep(told)
        service.refresh("execution_metrics", Span(Grain.DAY, since - USUAL, since + LENGTH))
        span = Span(Grain.DAY, since, since + LENGTH)
        compare(service, "slow_triggers", span, slowest(in_utc(told), span))

    check()


def test_the_trend_of_use_is_that_of_an_independent_calculation(database: Database):
    service = metrics(database)
    until = SPRING + LENGTH
    days = [until - timedelta(days=n) for n in range(1, 33)]

    def one(resource: str, quota: int | None) -> st.SearchStrategy[list[Used]]:
        quotas = st.just(quota) | st.sampled_from([None, quota])
        level = st.integers(0, 12)
        at_random = st.tuples(*[st.none() | level] * len(days))
        steady = st.tuples(level, st.integers(-2, 2), st.integers(1, 5)).map(
            lambda line: tuple(max(line[0] - line[1] * (n // line[2]), 0) for n in range(len(days)))
        )
        late = st.tuples(level, st.integers(1, 4)).map(lambda few: (few[0],) * few[1] + (None,) * 28)
        used: st.SearchStrategy[Sequence[int | None]] = st.one_of(at_random, steady, late)
        return st.tuples(used, quotas).map(
            lambda told: [
                Used(resource, day, most, told[1])
                for day, most in zip(days, told[0], strict=False)
                if most is not None
            ]
        )

    @few
    @given(st.tuples(one("executions", 13), one("agents", 30), one("workspaces", 0)))
    def check(told: tuple[list[Used], ...]) -> None:
        series = [used for some in told for used in some]
        with database.begin() as connection:
            trend.keep(connection, series)
        span = Span(Grain.DAY, until - timedelta(days=8), until)
        compare(service, "capacity_plan", span, plan(series, span))

    check()
