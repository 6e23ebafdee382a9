"""The run coordinator, as the pinned Dagster's own queue daemon uses it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import UUID, uuid4

import dagster as dg
import pytest
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from sqlalchemy import insert, make_url, text

from dct_pipelines.domain.quotas import AgentClass, Quota, Quotas, SlotKind, Usage
from dct_pipelines.instance.coordinator import (
    NO_LIMIT,
    PROCESSES_WITHOUT_POOL,
    QuotaRunCoordinator,
    tag_limits,
)
from dct_pipelines.store import quotas, slots, tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.slots import Slot
from tests.support.deployment import *  # noqa: F403
from tests.support.pools import leave_note, noted
from tests.support.postgres import administrator
from tests.support.runs import a_run
from tests.support.stage import QUOTAS, Stage

pytestmark = pytest.mark.dagster
STANDARD = {"dct/agent": "1", "dct/agent_class": "standard"}
HIGH = {"dct/agent": "1", "dct/agent_class": "high", "dagster/priority": "8"}
Tags = Mapping[str, str]


class Queue:
    """Dagster's queue: runs in it, and what its daemon would start of them in one pass."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self._daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)

    def add(self, tags: Tags, count: int = 1) -> None:
        """Runs that wait."""
        for _ in range(count):
            a_run(self.instance, "QUEUED", tags)

    def start(self, tags: Tags, count: int = 1) -> None:
        """Runs that are at work."""
        for _ in range(count):
            a_run(self.instance, "STARTED", tags)

    def select(self) -> list[dg.DagsterRun]:
        config = self.instance.get_concurrency_config()
        return self._daemon._get_runs_to_dequeue(self.instance, config, fixed_iteration_time=None)

    def by(self, tag: str) -> dict[str, int]:
        """How many would start, by the value of a tag."""
        return dict(Counter(run.tags.get(tag, "none") for run in self.select()))


@pytest.fixture
def queue(instance: dg.DagsterInstance, project: Path) -> Iterator[Queue]:
    """Where a pool is, so that only quotas count."""
    with noted(project / ".dct"):
        yield Queue(instance)


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    stage = Stage(database)
    yield stage
    stage.stop()


def allow(database: Database, **values: int) -> None:
    """Set quotas, as an operator does."""
    with database.begin() as connection:
        for name, value in values.items():
            quotas.put(connection, Quota(name), value, "olga")


def take(database: Database, kind: SlotKind, execution_id: UUID | None = None, count: int = 1) -> None:
    of_class = AgentClass.STANDARD if kind is SlotKind.AGENT else None
    with database.begin() as connection:
        for _ in range(count):
            slots.take(connection, Slot(kind, uuid4(), of_class, execution_id), QUOTAS)


def test_our_project_names_it_and_keeps_what_it_configures(instance: dg.DagsterInstance):
    coordinator = instance.run_coordinator
    assert isinstance(coordinator, QuotaRunCoordinator)
    assert (coordinator.dequeue_use_threads, coordinator.dequeue_num_workers) == (True, 2)
    config = coordinator.get_run_queue_config()
    assert config.max_user_code_failure_retries == 3


def test_runs_that_need_a_process_each_are_fewer(instance: dg.DagsterInstance, project: Path):
    coordinator = instance.run_coordinator
    assert isinstance(coordinator, QuotaRunCoordinator)
    assert coordinator.get_run_queue_config().max_concurrent_runs == PROCESSES_WITHOUT_POOL
    with noted(project / ".dct"):
        assert coordinator.get_run_queue_config().max_concurrent_runs == 50
    leave_note(project / ".dct")
    assert coordinator.get_run_queue_config().max_concurrent_runs == PROCESSES_WITHOUT_POOL


def test_concurrent_runs_are_the_quota_and_change_without_a_restart(queue: Queue, database: Database):
    allow(database, executions=3)
    queue.start({}, 2)
    queue.add({}, 5)
    assert len(queue.select()) == 1
    allow(database, executions=6)
    assert len(queue.select()) == 4
    allow(database, executions=0)
    assert queue.select() == []


@pytest.mark.parametrize(
    ("at_work", "queued", "started"),
    [
        ((0, 0), (12, 0), {"standard": 7}),
        ((0, 0), (12, 5), {"high": 5, "standard": 5}),
        ((7, 0), (2, 5), {"high": 3}),
        ((4, 6), (3, 0), {}),
        ((0, 0), (0, 12), {"high": 10}),
    ],
)
def test_the_reserve_is_kept_for_high_priority_which_may_have_all(
    queue: Queue,
    database: Database,
    at_work: tuple[int, int],
    queued: tuple[int, int],
    started: dict[str, int],
):
    allow(database, agents=10)
    for tags, works, waits in zip((STANDARD, HIGH), at_work, queued, strict=True):
        queue.start(tags, works)
        queue.add(tags, waits)
    queue.add({}, 2)
    assert queue.by("dct/agent_class") == started | {"none": 2}


def test_slots_that_outlive_their_runs_are_taken_off(queue: Queue, database: Database):
    allow(database, agents=3, agent_reservation_percent=0, workspaces=2)
    take(database, SlotKind.AGENT, count=2)
    take(database, SlotKind.WORKSPACE)
    queue.add(STANDARD, 3)
    queue.add({"dct/workspace": "1"}, 3)
    assert queue.by("dct/workspace") == {"none": 1, "1": 1}


def test_a_run_that_holds_its_slot_is_counted_once(queue: Queue, stage: Stage):
    allow(stage.database, workspaces=2)
    execution_id = stage.execution(workspaces=1)
    take(stage.database, SlotKind.WORKSPACE, execution_id)
    queue.start({"dct/workspace": "1"})
    queue.add({"dct/workspace": "1"}, 3)
    assert len(queue.select()) == 1


def test_a_run_that_takes_several_counts_for_all_of_them(queue: Queue, stage: Stage):
    allow(stage.database, agents=5, agent_reservation_percent=0)
    stage.execution(agents=3)
    queue.start(STANDARD)
    queue.add(STANDARD, 5)
    assert len(queue.select()) == 2


def test_two_runs_never_deploy_to_one_environment(queue: Queue):
    queue.start({"dct/environment": "qa"})
    queue.add({"dct/environment": "qa"}, 2)
    queue.add({"dct/environment": "uat"}, 2)
    assert queue.by("dct/environment") == {"uat": 1}


def test_runs_that_keep_an_items_order_go_one_after_the_other(queue: Queue):
    queue.add({"dct/line": "ship feature/a"}, 2)
    queue.add({"dct/line": "ship feature/b"}, 2)
    assert queue.by("dct/line") == {"ship feature/a": 1, "ship feature/b": 1}


def test_a_trigger_has_at_most_as_many_runs_as_it_may(queue: Queue, stage: Stage):
    trigger_id = uuid4()
    with stage.database.begin() as connection:
        connection.execute(
            insert(tables.dynamic_context_triggers).values(
                id=trigger_id,
                name="ship",
                trigger_type="development",
                job_name="job",
                active_since=stage.clock.now(),
                resource_limits={"max_concurrent_executions": 2},
                created_by="tests",
            )
        )
    stage.execution(trigger_id=trigger_id)
    queue.start({"dct/trigger": "ship"})
    queue.add({"dct/trigger": "ship"}, 3)
    queue.add({"dct/trigger": "other"}, 3)
    assert queue.by("dct/trigger") == {"ship": 1, "other": 3}


def test_limits_of_this_machine_count_besides_the_quotas(database_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DCT_DATABASE_URL", database_url)
    own = {"key": "heavy", "limit": 1}
    coordinator = QuotaRunCoordinator(max_concurrent_runs=4, tag_concurrency_limits=[own])
    config = coordinator.get_run_queue_config()
    assert (config.max_concurrent_runs, config.tag_concurrency_limits[0]) == (4, own)
    coordinator.dispose()


def test_quotas_that_are_off_leave_only_environments_exclusive(
    database_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DCT_DATABASE_URL", database_url)
    monkeypatch.setenv("TRIGGER_RESOURCE_LIMITS_ENABLED", "false")
    coordinator = QuotaRunCoordinator()
    config = coordinator.get_run_queue_config()
    assert config.max_concurrent_runs == NO_LIMIT
    assert [limit["key"] for limit in config.tag_concurrency_limits] == ["dct/environment", "dct/metrics"]
    coordinator.dispose()


def test_while_the_database_is_away_the_last_quotas_count(
    database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("DCT_DATABASE_URL", database_url)
    caplog.set_level(logging.INFO)
    url = make_url(database_url)
    coordinator = QuotaRunCoordinator()
    known = coordinator.get_run_queue_config()
    with administrator(str(url.set(database="postgres"))) as connection:
        connection.execute(text(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false"))
        ends = text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = :name")
        connection.execute(ends, {"name": url.database})
        assert [coordinator.get_run_queue_config() for _ in range(2)] == [known, known]
        connection.execute(text(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true"))
    assert coordinator.get_run_queue_config() == known
    coordinator.dispose()
    said = [record.getMessage() for record in caplog.records if record.name.endswith("coordinator")]
    assert len(said) == 2
    assert said[0].startswith("the quotas cannot be read, the last ones go on to count: ")
    assert said[1] == "the quotas can be read again"


def test_nothing_starts_before_any_quota_could_be_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("DCT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    coordinator = QuotaRunCoordinator()
    assert coordinator.get_run_queue_config().max_concurrent_runs == 0
    coordinator.dispose()
    assert "the quotas cannot be read, no queued run starts" in caplog.text


def test_a_quota_below_what_is_in_use_lets_nothing_start():
    limits = tag_limits(Quotas(5, 2, 0, 1), Usage(agents=4, standard_agents=4, workspaces=3), {})
    assert [limit["limit"] for limit in limits if limit["key"] in ("dct/agent", "dct/workspace")] == [0, 0]
