"""A restored deployment remembers nothing of the processes of the original, as Dagster itself sees it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._daemon.types import DaemonHeartbeat

from dct_pipelines.bootstrap import App
from dct_pipelines.domain.restored import Restored
from dct_pipelines.instance.heartbeats import DaemonHeartbeats
from dct_pipelines.store import restoring
from tests.support.deployment import *  # noqa: F403

pytestmark = pytest.mark.dagster


def tick(instance: dg.DagsterInstance, status: TickStatus, timestamp: float) -> None:
    made = TickData(
        "origin",
        "dispatch",
        InstigatorType.SENSOR,
        status,
        timestamp,
        run_ids=[],
        run_keys=[],
        selector_id="selector",
    )
    instance.create_tick(made)


def restore(app: App) -> None:
    now = datetime.now(UTC)
    with app.database.begin() as connection:
        restoring.begin(connection, Restored(backup_id=uuid4(), as_of=now, at=now))


def test_no_daemon_of_the_original_is_missed_or_believed_in(app: App, instance: dg.DagsterInstance):
    for kind, ago in (("SENSOR", 5), ("SCHEDULER", 3600)):
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - ago, kind, "the original", errors=[]))
    restore(app)
    assert DaemonHeartbeats(app.database).daemons() == []
    assert instance.get_daemon_heartbeats() == {}


def test_no_tick_of_the_original_goes_on(app: App, instance: dg.DagsterInstance):
    """Dagster resumes what it finds started, and launches the runs that it had asked for."""
    now = time.time()
    tick(instance, TickStatus.SUCCESS, now - 60)
    tick(instance, TickStatus.STARTED, now - 30)
    restore(app)
    assert [one.status for one in instance.get_ticks("origin", "selector")] == [TickStatus.SUCCESS]
