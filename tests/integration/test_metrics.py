"""Metric tables that are computed from more than executions, and how a refresh goes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, text, update

from dct_pipelines.domain.errors import CredentialRefused, InvalidInput, Throttled
from dct_pipelines.domain.metrics import Grain, Span
from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.domain.words import ReadOutcome
from dct_pipelines.engine.metrics import MetricsService
from dct_pipelines.engine.reading import outcome_of
from dct_pipelines.store import dispatching, tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.metrics import refreshing
from dct_pipelines.store.metrics.catalog import METRICS
from dct_pipelines.store.watching import sources
from tests.support.measured import Act, Deployed, Ground, Past

pytestmark = pytest.mark.integration
DAY = datetime(2026, 3, 2, tzinfo=UTC)
NOON = DAY + timedelta(hours=12)
HOUR = Span(Grain.HOUR, NOON, NOON + timedelta(hours=1))
WHOLE = Span(Grain.DAY, DAY, DAY + timedelta(days=1))
QUOTAS = Quotas(executions=5, agents=4, agent_reservation_percent=30, workspaces=3)


@pytest.fixture
def ground(database: Database) -> Ground:
    return Ground(database)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def service(ground: Ground, **quotas: Any) -> MetricsService:
    return MetricsService(ground.database, Quotas(**(vars(QUOTAS) | quotas)), 300)


def computed(ground: Ground, table: str, span: Span = HOUR) -> list[dict[str, Any]]:
    metrics = service(ground)
    metrics.refresh(table, span)
    return metrics.rows(table, span)


def ended(status: str = "completed", minutes: float = 10, **more: Any) -> Past:
    """An execution that took a minute and ended so long after noon."""
    facts = {"created_at": at(minutes - 1), "started_at": at(minutes - 1), "completed_at": at(minutes)}
    return Past(status, **(facts | more))


def test_every_table_says_of_a_time_without_facts_that_nothing_happened(ground: Ground):
    metrics = service(ground)
    filled = {name: metrics.refresh(name, WHOLE).rows for name in metrics.tables}
    assert filled == {
        "execution_metrics": 1,
        "response_times": 6,
        "queue_metrics": 1,
        "resource_utilization": 3,
        "integration_health": 0,
        "failure_analysis": 0,
        "business_metrics": 1,
        "slow_triggers": 0,
        "capacity_plan": 3,
    }
    assert metrics.first_fact() is None
    later = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    ahead = Span(Grain.HOUR, later, later + timedelta(hours=2))
    assert sum(metrics.refresh(name, ahead).rows for name in ("execution_metrics", "response_times")) == 0


def test_a_refresh_repeated_gives_the_same_rows_and_touches_no_other_bucket(ground: Ground):
    metrics = service(ground)
    ground.keep([ended(), ended("failed", 70, error="boom")])
    both = Span(Grain.HOUR, HOUR.since, at(120))
    metrics.refresh("execution_metrics", both)
    before = metrics.rows("execution_metrics", both)
    metrics.refresh("execution_metrics", HOUR)
    after = metrics.rows("execution_metrics", both)
    told = [{key: value for key, value in row.items() if key != "computed_at"} for row in before]
    assert [{key: value for key, value in row.items() if key != "computed_at"} for row in after] == told
    kept = [row for row in before if row["bucket"] == at(60)]
    assert [row for row in after if row["bucket"] == at(60)] == kept
    assert metrics.rows("execution_metrics", WHOLE) == []


def test_what_was_tried_again_counts_where_it_ended_last(ground: Ground):
    first = ended("failed", 10)
    ground.keep([first])
    metrics = service(ground)
    both = Span(Grain.HOUR, HOUR.since, at(120))
    metrics.refresh("execution_metrics", both)
    again = {"status": "completed", "completed_at": at(70), "attempt": 2}
    with ground.database.begin() as connection:
        row = tables.trigger_executions
        connection.execute(update(row).where(row.c.id == first.id).values(again))
    metrics.refresh("execution_metrics", both)
    whole = metrics.tables["execution_metrics"].of_whole(metrics.rows("execution_metrics", both))
    assert [(row["executions"], row["failed"], row["retried"]) for row in whole] == [(0, 0, 0), (1, 0, 1)]
    assert whole[1]["mean_seconds"] == 61 * 60


def test_many_refreshes_of_one_table_at_once_do_not_mix(ground: Ground):
    ground.keep([ended(minutes=n) for n in range(1, 6)])
    together = threading.Barrier(4)

    def one(_: int) -> int:
        together.wait()
        return service(ground).refresh("execution_metrics", HOUR).rows

    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(one, range(4)))
    assert written == [len(service(ground).rows("execution_metrics", HOUR))] * 4


def test_days_are_computed_while_a_refresh_of_hours_is_under_way(ground: Ground):
    ground.keep([ended()])
    parameters = {"ageing_step": 300.0, "executions": 5, "agents": 4, "workspaces": 3}
    with ThreadPoolExecutor(1) as days, ground.database.begin() as hours:
        refreshing.refresh(hours, METRICS["execution_metrics"], HOUR, parameters)
        written = days.submit(service(ground).refresh, "execution_metrics", WHOLE).result(timeout=30)
    assert written.rows == len(service(ground).rows("execution_metrics", WHOLE)) > 1


def test_a_table_or_grain_that_there_is_not_is_said_so(ground: Ground):
    with pytest.raises(InvalidInput, match=r"no metric table 'queue_metric'; .*queue_metrics"):
        service(ground).refresh("queue_metric", HOUR)
    with pytest.raises(InvalidInput, match="slow_triggers is computed by day, not by hour"):
        service(ground).refresh("slow_triggers", HOUR)


def test_reads_of_connections_are_counted_by_how_they_went(ground: Ground):
    here = ground.connection_id
    pause: dict[str, Any] = {"health": "down", "why": "no", "not_before": at(99)}
    with ground.database.begin() as connection:
        sources.healthy(connection, here, at(-10), at(0), at(-10))
        sources.healthy(connection, here, at(1), at(2), at(1))
        sources.healthy(connection, here, at(3), at(4), at(3))
        sources.unhealthy(connection, here, at(5), **pause, outcome=ReadOutcome.REFUSED)
        sources.unhealthy(connection, here, at(6), **pause)
        sources.unhealthy(connection, here, at(7), **pause, outcome=ReadOutcome.THROTTLED)
        row = {"connection_id": here, "event_id": uuid4()}
        keys = [row | {"dedup_key": str(n), "created_at": at(n)} for n in range(3)]
        connection.execute(insert(tables.event_keys), keys)
        connection.execute(update(tables.connections).values(created_at=DAY))
    (found,) = computed(ground, "integration_health")
    assert found["connection"] == "here"
    counts = ("reads", "ok", "throttled", "unreachable", "refused", "events")
    assert [found[name] for name in counts] == [5, 2, 1, 1, 1, 3]
    assert (found["failure_percent"], found["longest_gap_seconds"]) == (50, 11 * 60)
    (day,) = computed(ground, "integration_health", WHOLE)
    assert (day["reads"], day["events"]) == (6, 3)


def test_a_read_that_failed_counts_as_what_went_wrong():
    assert outcome_of(Throttled(not_before=NOON)) is ReadOutcome.THROTTLED
    assert outcome_of(CredentialRefused()) is ReadOutcome.REFUSED


def test_failures_that_differ_by_ids_numbers_quotes_and_paths_are_one_cluster(ground: Ground):
    messages = (
        'cannot merge "feature/a" into qa: exit 128 in /srv/a/b.git at 7f3a9c2',
        'cannot merge "fix/b" into qa: exit 1 in https://git.example.org/x at 0000aaa\nand more',
        "PAY-7 may not be moved",
    )
    act = Act("merge_branches", "failed", 1, at(1), at(2))
    history = [ended("failed", n, error=message, acts=[act]) for n, message in enumerate(messages, 3)]
    ground.keep([*history, ended("failed", 9, trigger=None), ended("cancelled", 10, error="not a failure")])
    rows = computed(ground, "failure_analysis")
    assert {(row["trigger"], row["action"], row["pattern"], row["failures"]) for row in rows} == {
        ("ship", "merge_branches", "cannot merge … into qa: exit … in … at …", 2),
        ("ship", "merge_branches", "… may not be moved", 1),
        ("(by hand)", "(none)", "(none)", 1),
    }
    merged = max(rows, key=lambda row: row["failures"])
    assert (merged["sample_execution"], merged["first_seen_at"], merged["last_seen_at"]) == (
        str(history[1].id),
        at(3),
        at(4),
    )
    assert merged["sample"] == messages[1].partition("\n")[0]


def test_the_slowest_triggers_are_set_against_their_usual_and_say_where_the_time_goes(ground: Ground):
    days = [
        Past(
            "completed",
            at(0) - timedelta(days=n),
            started_at=at(0) - timedelta(days=n),
            completed_at=at(0) - timedelta(days=n) + timedelta(seconds=took),
        )
        for n, took in ((20, 900), (3, 10), (1, 30))
    ]
    acts = [
        Act("run_tests", "done", 1, at(9), at(9.75)),
        Act("merge_branches", "done", 1, at(9.75), at(10)),
    ]
    ground.keep([*days, ended(acts=acts), ended(trigger=1, started_at=at(9.5))])
    metrics = service(ground)
    metrics.refresh("execution_metrics", Span(Grain.DAY, DAY - timedelta(days=30), WHOLE.until))
    first, second = sorted(computed(ground, "slow_triggers", WHOLE), key=lambda row: row["place"])
    assert (first["trigger"], first["p95_seconds"]) == ("ship", 60)
    assert (first["usual_p95_seconds"], first["times_usual"]) == (20, 3)
    assert (first["slowest_action"], first["slowest_action_percent"]) == ("run_tests", 75)
    assert (second["trigger"], second["place"], second["usual_p95_seconds"]) == ("check", 2, None)


def test_the_trend_of_use_says_when_a_quota_will_be_reached(ground: Ground):
    days = [DAY - timedelta(days=n) for n in (2, 1, 0)]
    used = {"executions": (1, 2, 3), "agents": (3, 2, 1), "workspaces": (1, 2, 3)}
    row = {"grain": "day", "at_end": 0, "average": 0.0}
    quotas = {"executions": 5, "agents": 4, "workspaces": 3}
    with ground.database.begin() as connection:
        for name, series in used.items():
            for day, most in zip(days, series, strict=True):
                values = row | {"bucket": day, "resource": name, "most": most, "quota": quotas[name]}
                connection.execute(
                    text(
                        "INSERT INTO metrics.resource_utilization"
                        " (grain, bucket, resource, most, at_end, average, quota)"
                        " VALUES (:grain, :bucket, :resource, :most, :at_end, :average, :quota)"
                    ),
                    values,
                )
    agents, executions, workspaces = computed(ground, "capacity_plan", WHOLE)
    assert (executions["trend_per_day"], executions["forecast"], executions["days"]) == (1, 33, 3)
    assert executions["quota_reached_at"] == DAY + timedelta(days=2)
    assert (agents["trend_per_day"], agents["forecast"], agents["quota_reached_at"]) == (-1, 0, None)
    assert workspaces["quota_reached_at"] == DAY


def test_live_workspaces_are_in_use_and_no_quota_counts_while_quotas_are_off(ground: Ground):
    row = {"title": "w", "repository_item_id": ground.item_id, "branch": "b", "start_commit": "c"}
    row |= {"directory": "d", "execution_id": uuid4()}
    lives = [("open", at(30), at(31)), ("archived", at(0), at(40)), ("archived", at(-90), at(-70))]
    with ground.database.begin() as connection:
        for state, made, changed in lives:
            values = row | {"state": state, "created_at": made, "updated_at": changed}
            connection.execute(insert(tables.workspaces).values(values))
    (found,) = [row for row in computed(ground, "resource_utilization") if row["resource"] == "workspaces"]
    assert (found["most"], found["at_end"], found["average"]) == (2, 1, pytest.approx(70 / 60))
    assert (found["quota"], found["utilization_percent"]) == (3, pytest.approx(200 / 3))
    metrics = service(ground, enabled=False)
    metrics.refresh("resource_utilization", HOUR)
    off = metrics.rows("resource_utilization", HOUR)
    assert {(row["quota"], row["utilization_percent"]) for row in off} == {(None, None)}


def test_the_four_figures_of_delivery_come_from_deployments_and_what_led_to_them(ground: Ground):
    ticket = Act("update_ticket", "done", 1, at(1), at(2), {"changed": ["Ready → In QA", "a comment"]})
    comment = Act("update_ticket", "done", 1, at(1), at(2), {"changed": ["a comment"]})
    history = [
        ended(minutes=5, occurred_at=at(0), acts=[ticket, comment]),
        ended("failed", 20, occurred_at=at(15)),
        ended("failed", 25, occurred_at=at(22)),
        ended(minutes=40, occurred_at=at(30)),
    ]
    states = {"completed": "succeeded", "failed": "failed"}
    for place, past in enumerate(history):
        made = Deployed("qa", states[past.status], past.created_at, past.completed_at)
        history[place] = replace(past, deployed=[made])
    ground.keep(history)
    rows = {(row["dimension"], row["value"]): row for row in computed(ground, "business_metrics")}
    assert set(rows) == {("all", "all"), ("environment", "qa"), ("trigger_type", "deployment")}
    whole = rows["all", "all"]
    assert (whole["tickets_moved"], whole["deployments"], whole["failed_deployments"]) == (1, 4, 2)
    assert (whole["change_failure_percent"], whole["ready_p50_seconds"]) == (50, 7.5 * 60)
    # The first began at its own event; the last at the one of the first failure, the next after the first.
    assert whole["lead_time_p50_seconds"] == (5 + 25) / 2 * 60
    assert (whole["restores"], whole["restore_mean_seconds"]) == (1, 20 * 60)
    assert rows["environment", "qa"]["tickets_moved"] == 0


def test_what_an_execution_waited_for_is_known_after_it_was_dispatched(ground: Ground):
    waiting = Past("waiting", at(1), reason="item_busy")
    ground.keep([waiting])
    with ground.database.begin() as connection:
        dispatching.dispatch(connection, [waiting.id], at(4))
    rows = {row["reason"]: row for row in computed(ground, "queue_metrics")}
    assert {reason: (row["waits"], row["longest_seconds"]) for reason, row in rows.items()} == {
        "all": (1, 180),
        "item_busy": (1, 180),
    }
