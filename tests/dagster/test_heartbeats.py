"""Which daemons are alive, read without Dagster, is what Dagster says of the same rows."""

from __future__ import annotations

import time

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from dct_pipelines.bootstrap import App
from dct_pipelines.instance.heartbeats import ALIVE_WITHIN, DaemonHeartbeats, forget
from tests.support.deployment import *  # noqa: F403

pytestmark = pytest.mark.dagster


def beat(instance: dg.DagsterInstance, kind: str, process: str, ago_seconds: float = 0) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - ago_seconds, kind, process, errors=[]))


def test_it_says_what_dagster_says(app: App, instance: dg.DagsterInstance):
    for kind in instance.get_required_daemon_types():
        beat(instance, kind, "one process")
    assert app.gateway is not None
    found = DaemonHeartbeats(app.database).daemons()
    assert [(one.name, one.is_healthy) for one in found] == [
        (one.name, one.is_healthy) for one in app.gateway.daemons()
    ]
    assert [one.last_seen for one in found] == [one.last_seen for one in app.gateway.daemons()]


def test_a_daemon_that_fell_silent_is_not_alive(app: App, instance: dg.DagsterInstance):
    beat(instance, "SENSOR", "one process", ALIVE_WITHIN.total_seconds() + 5)
    (sensor,) = DaemonHeartbeats(app.database).daemons()
    assert (sensor.name, sensor.is_healthy) == ("sensor", False)


def test_daemons_of_an_earlier_process_are_not_missed(app: App, instance: dg.DagsterInstance):
    beat(instance, "EVENT_LOG_CONSUMER", "an earlier process", 3600)
    beat(instance, "SENSOR", "this process")
    assert [one.name for one in DaemonHeartbeats(app.database).daemons()] == ["sensor"]


def test_before_any_daemon_ran_there_is_none(app: App):
    assert DaemonHeartbeats(app.database).daemons() == []


def test_who_has_seen_them_end_has_them_forgotten(app: App, instance: dg.DagsterInstance):
    beat(instance, "SENSOR", "this process")
    forget(app.database)
    assert DaemonHeartbeats(app.database).daemons() == []
    assert instance.get_daemon_heartbeats() == {}
