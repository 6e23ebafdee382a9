"""What Prometheus scrapes: well-formed, true, bounded, and with counters that never fall."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text, update

from dct_pipelines.clients.metrics_server import serving
from dct_pipelines.domain.errors import AlreadyRunning
from dct_pipelines.engine.exposition import KEPT_SECONDS, Exposition
from dct_pipelines.engine.families import HEALTHS, MOST_NAMED
from dct_pipelines.engine.quotas import QuotaService
from dct_pipelines.engine.waiting import Waiting, WaitingService
from dct_pipelines.store import tables, totals
from dct_pipelines.store.database import Database
from tests.architecture.tree import ROOT
from tests.fakes.ports import FakeClock
from tests.integration.test_dispatch_many import wait
from tests.support.postgres import terminate_all
from tests.support.stage import QUOTAS, MovableDatabase
from tests.support.telemetry import begin, ended
from tests.support.world import World

pytestmark = pytest.mark.integration
NAME = re.compile(r"^dct_[a-z_]+$")
SUFFIXES = {"counter": "_total", "info": "_info"}
UNITS = ("seconds", "bytes", "ratio")


@dataclass
class Ticking:
    """A monotonic clock that is moved by hand."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def world(database: Database) -> World:
    begin(database, totals.CURSOR)
    return World(database, FakeClock(datetime.now(UTC)))


@pytest.fixture
def ticking() -> Ticking:
    return Ticking()


def exposition_of(database: Database, ticking: Ticking | None = None) -> Exposition:
    clock = FakeClock(datetime.now(UTC))
    waiting = WaitingService(database, clock, QUOTAS, 300, frozenset)
    quotas = QuotaService(database, QUOTAS)
    return Exposition(
        database,
        clock,
        quotas,
        waiting,
        None,
        version="1.2.3",
        release="1.2.3+branch_ready.1",
        monotonic=ticking or Ticking(),
    )


def scraped(exposition: Exposition) -> dict[str, float]:
    """Every sample of the text format, by name and labels, as the library reads it."""
    body, _ = exposition.text()
    return {
        f"{sample.name}{sorted(sample.labels.items())}" if sample.labels else sample.name: sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_each_metric_keeps_to_the_rules_of_names_help_types_and_units(world: World) -> None:
    world.trigger("to-qa")
    ended(world.database, 10)
    body, content_type = exposition_of(world.database).text()
    assert content_type.startswith("text/plain; version=")
    families = list(text_string_to_metric_families(body.decode()))
    for family in families:
        assert NAME.match(family.name), family.name
        assert len(family.documentation) > 10, family.name
        assert family.type in ("counter", "gauge", "histogram"), family.name
        words = set(family.name.split("_"))
        assert not words & {"ms", "minutes", "hours", "kb", "mb", "percent", "total"}, family.name
    assert len({family.name for family in families}) == len(families)
    suffixed = [name for name in (one.name for one in families) if name.endswith(UNITS)]
    assert {"dct_response_time_seconds", "dct_database_size_bytes"} <= set(suffixed)


def test_the_page_names_every_metric_and_no_other(world: World) -> None:
    page = (ROOT / "docs/how-to/observability.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\bdct_[a-z_]+", page)) - {"dct_pipelines"}
    families = exposition_of(world.database).families()
    told = {f"{one.name}{SUFFIXES.get(one.type, '')}" for one in families}
    parts = {f"{one.name}_bucket" for one in families if one.type == "histogram"}
    assert told - named == set()
    assert named - told - parts == set()


def test_openmetrics_is_given_to_whoever_asks_for_it(world: World) -> None:
    body, content_type = exposition_of(world.database).text("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert "dct_build" in {family.name for family in openmetrics(body.decode())}  # type: ignore[no-untyped-call]


def test_it_tells_how_executions_stand(world: World) -> None:
    trigger_id = world.trigger("to-qa")
    wait(world, trigger_id, 3)
    ended(world.database, 20)
    ended(world.database, 10, "failed", trigger_id=trigger_id)
    found = scraped(exposition_of(world.database))
    assert found["dct_executions[('state', 'waiting')]"] == 3
    assert found["dct_executions_ended_total[('outcome', 'completed')]"] == 1
    assert found["dct_executions_ended_total[('outcome', 'failed')]"] == 1
    assert found["dct_executions_ended_total[('outcome', 'cancelled')]"] == 0
    assert found["dct_waiting[('reason', 'its_turn')]"] == 3
    assert found["dct_quota[('quota', 'executions')]"] == QUOTAS.executions
    assert found["dct_quota_in_use[('quota', 'executions')]"] == 0
    assert found["dct_triggers[('status', 'active')]"] == 1
    assert found["dct_up"] == 1
    assert found["dct_build_info[('rules', '1.2.3+branch_ready.1'), ('version', '1.2.3')]"] == 1


def test_the_histogram_holds_each_stage_of_the_way(world: World) -> None:
    for ago in (30, 20, 10):
        ended(world.database, ago)
    found = scraped(exposition_of(world.database))

    def bucket(stage: str, bound: str) -> float:
        return found[f"dct_response_time_seconds_bucket[('le', '{bound}'), ('stage', '{stage}')]"]

    # each waited 1.5 s, was launched in 0.5 s and worked 3 s
    assert [bucket("queued", bound) for bound in ("1.0", "2.5", "+Inf")] == [0, 3, 3]
    assert [bucket("launched", bound) for bound in ("0.25", "0.5", "+Inf")] == [0, 3, 3]
    assert [bucket("total", bound) for bound in ("2.5", "5.0", "+Inf")] == [0, 3, 3]
    assert found["dct_response_time_seconds_count[('stage', 'worked')]"] == 3
    assert found["dct_response_time_seconds_sum[('stage', 'worked')]"] == pytest.approx(9, abs=0.01)


def test_names_from_outside_are_escaped_and_their_number_is_bounded(world: World) -> None:
    hostile = 'a"} 1\ndct_up 0\\'
    world.connection(hostile)
    rows = tables.dynamic_context_triggers
    for place in range(MOST_NAMED + 10):
        trigger_id = world.trigger(f"trigger-{place}")
        with world.database.begin() as connection:
            connection.execute(update(rows).where(rows.c.id == trigger_id).values(execution_count=place))
    body, _ = exposition_of(world.database).text()
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    names = {sample.labels["trigger"] for sample in families["dct_trigger_firings"].samples}
    assert len(names) == MOST_NAMED
    assert "trigger-0" not in names
    health = [one for one in families["dct_connection_health"].samples if one.labels["connection"] == hostile]
    assert len(health) == len(HEALTHS)
    assert families["dct_firings"].samples[0].value == sum(range(MOST_NAMED + 10))
    assert families["dct_up"].samples[0].value == 1


def test_incidents_that_are_not_over_are_counted_by_rule(world: World, ticking: Ticking) -> None:
    with world.database.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS dct.incidents CASCADE"))
    exposition = exposition_of(world.database, ticking)
    assert not [name for name in scraped(exposition) if name.startswith("dct_incidents")]
    with world.database.begin() as connection:
        connection.execute(text("CREATE TABLE dct.incidents (rule text, state text)"))
        rows = "('slow', 'open'), ('slow', 'open'), ('slow', 'resolved')"
        connection.execute(text(f"INSERT INTO dct.incidents VALUES {rows}"))
    ticking.now += 3600
    found = {name: value for name, value in scraped(exposition).items() if name.startswith("dct_incidents")}
    assert found == {"dct_incidents[('rule', 'slow'), ('state', 'open')]": 2}


def test_an_answer_is_kept_for_a_while(world: World, ticking: Ticking) -> None:
    exposition = exposition_of(world.database, ticking)
    waiting = "dct_executions[('state', 'waiting')]"
    assert scraped(exposition)[waiting] == 0
    wait(world, world.trigger("to-qa"), 1)
    ticking.now += KEPT_SECONDS - 0.1
    assert scraped(exposition)[waiting] == 0
    ticking.now += 0.2
    assert scraped(exposition)[waiting] == 1


def test_a_database_that_is_away_is_said_and_found_again(world: World, ticking: Ticking) -> None:
    away = MovableDatabase.beside(world.database)
    exposition = exposition_of(away, ticking)
    away.away = 1
    found = scraped(exposition)
    assert (found["dct_up"], "dct_events_total" in found) == (0, False)
    ticking.now += 60
    assert scraped(exposition)["dct_up"] == 1


def test_a_scrape_outlives_a_server_that_hung_up(world: World, database_url: str) -> None:
    ticking = Ticking()
    exposition = exposition_of(world.database, ticking)
    scraped(exposition)
    terminate_all(database_url)
    ticking.now += 60
    assert scraped(exposition)["dct_up"] == 1


def test_scrapes_are_answered_over_http_and_nothing_else_is(world: World) -> None:
    with serving(exposition_of(world.database).text, "127.0.0.1", 0) as served:
        assert served.url == f"http://127.0.0.1:{served.port}/metrics"
        with urlopen(served.url) as answer:
            assert b"dct_up 1.0" in answer.read()
        head = Request(served.url, method="HEAD")
        with urlopen(head) as answer:
            assert (answer.status, answer.read()) == (200, b"")
        with pytest.raises(HTTPError, match="404"):
            urlopen(served.url.replace("/metrics", "/etc/passwd"))
        second = serving(lambda _accept: (b"", ""), "127.0.0.1", served.port)
        with pytest.raises(AlreadyRunning, match="choose another port"), second:
            pass


@dataclass(frozen=True)
class Held(WaitingService):
    """Finds out why executions wait when it may."""

    may_end: threading.Event = field(default_factory=threading.Event)

    def by_reason(self) -> tuple[Waiting, ...]:
        assert self.may_end.wait(20)
        return super().by_reason()


def test_a_scrape_does_not_wait_for_why_executions_wait(world: World, ticking: Ticking) -> None:
    """Where that takes long: it tells what was found out before, and how long ago."""
    held = Held(world.database, FakeClock(datetime.now(UTC)), QUOTAS, 300, frozenset)
    exposition = replace(exposition_of(world.database, ticking), waiting=held, patience_seconds=0.05)
    wait(world, world.trigger("to-qa"), 3)
    assert "dct_waiting_age_seconds" not in scraped(exposition)
    held.may_end.set()
    assert exposition._waits.get(20) is not None
    ticking.now += 3600
    found = scraped(exposition)
    assert found["dct_waiting[('reason', 'its_turn')]"] == 3
