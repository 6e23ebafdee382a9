"""The adapter to Dagster: the contract with the pinned minor version, and with the fake that tests use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import dagster as dg
import pytest

from dct_pipelines.clients.stack.notes import CodeServerAddress, write_address, write_loaded_jobs
from dct_pipelines.domain.gateway import RunGateway, RunInfo
from dct_pipelines.instance.gateway import DagsterGateway
from tests.fakes.gateway import FakeGateway
from tests.support.deployment import *  # noqa: F403
from tests.support.runs import a_run

pytestmark = pytest.mark.dagster
EXECUTION = uuid4()
Begin = Callable[[UUID, int, str], str]
"""Makes a run with (execution, attempt, Dagster's status) and returns its id."""


@pytest.fixture(params=["real", "fake"])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[RunGateway, Begin]]:
    if request.param == "fake":
        fake = FakeGateway()

        def begin_fake(execution: UUID, attempt: int, status: str) -> str:
            run_id = str(uuid4())
            fake.begin(run_id, execution, attempt, status)
            return run_id

        yield fake, begin_fake
        return
    instance: dg.DagsterInstance = request.getfixturevalue("instance")

    def begin(execution: UUID, attempt: int, status: str) -> str:
        return a_run(instance, status, {"dct/execution": str(execution), "dct/attempt": str(attempt)}).run_id

    yield DagsterGateway(tmp_path, lambda: instance), begin


def known(gateway: RunGateway, run_id: str) -> RunInfo:
    info = gateway.get_run(run_id)
    assert info is not None
    return info


def test_the_runs_of_an_execution_are_found_by_their_tag_oldest_first(gateway: tuple[RunGateway, Begin]):
    asked, begin = gateway
    first, second = begin(EXECUTION, 1, "FAILURE"), begin(EXECUTION, 2, "STARTED")
    begin(uuid4(), 1, "STARTED")
    assert [(run.run_id, run.attempt) for run in asked.find_runs(EXECUTION)] == [(first, 1), (second, 2)]


@pytest.mark.parametrize(
    ("status", "is_over"),
    [
        ("QUEUED", False),
        ("STARTING", False),
        ("STARTED", False),
        ("CANCELING", False),
        ("SUCCESS", True),
        ("FAILURE", True),
        ("CANCELED", True),
    ],
)
def test_a_run_says_whether_it_is_over(gateway: tuple[RunGateway, Begin], status: str, is_over: bool):
    asked, begin = gateway
    info = known(asked, begin(EXECUTION, 1, status))
    assert (info.status, info.is_over, info.execution_id) == (status, is_over, EXECUTION)


def test_a_run_that_does_not_exist_is_none(gateway: tuple[RunGateway, Begin]):
    assert gateway[0].get_run(str(uuid4())) is None


def test_a_lost_run_is_shown_as_failed(gateway: tuple[RunGateway, Begin]):
    asked, begin = gateway
    run_id = begin(EXECUTION, 1, "STARTED")
    asked.fail_lost_run(run_id, "its process is gone")
    assert known(asked, run_id).status == "FAILURE"


def test_a_run_that_is_over_stays_as_it_is(gateway: tuple[RunGateway, Begin]):
    asked, begin = gateway
    run_id = begin(EXECUTION, 1, "SUCCESS")
    asked.fail_lost_run(run_id, "too late")
    assert known(asked, run_id).status == "SUCCESS"
    assert not asked.cancel(run_id)


def test_a_run_that_nobody_knows_cannot_be_cancelled(gateway: tuple[RunGateway, Begin]):
    assert not gateway[0].cancel(str(uuid4()))


def test_a_queued_run_is_cancelled_at_once(project: Path, instance: dg.DagsterInstance):
    run = a_run(instance, "QUEUED")
    gateway = DagsterGateway(project, lambda: instance)
    assert gateway.cancel(run.run_id)
    assert known(gateway, run.run_id).status == "CANCELED"


def test_a_run_whose_process_cannot_be_found_is_not_told(project: Path, instance: dg.DagsterInstance):
    run = a_run(instance, "STARTED")
    assert not DagsterGateway(project, lambda: instance).cancel(run.run_id)


def test_the_message_of_a_lost_run_is_in_its_log(project: Path, instance: dg.DagsterInstance):
    run = a_run(instance, "STARTED")
    DagsterGateway(project, lambda: instance).fail_lost_run(run.run_id, "its process is gone")
    assert "its process is gone" in [entry.message for entry in instance.all_logs(run.run_id)]


def test_a_run_that_was_being_cancelled_is_shown_as_cancelled(project: Path, instance: dg.DagsterInstance):
    run = a_run(instance, "CANCELING")
    gateway = DagsterGateway(project, lambda: instance)
    gateway.fail_lost_run(run.run_id, "its process is gone")
    assert known(gateway, run.run_id).status == "CANCELED"


def test_times_of_a_run_are_aware(project: Path, instance: dg.DagsterInstance):
    run = a_run(instance, "STARTED")
    gateway = DagsterGateway(project, lambda: instance)
    gateway.fail_lost_run(run.run_id, "gone")
    ended = known(gateway, run.run_id).ended_at
    assert ended is not None
    assert ended.tzinfo is not None


def test_daemons_that_never_ran_are_not_alive(project: Path, instance: dg.DagsterInstance):
    found = {daemon.name: daemon for daemon in DagsterGateway(project, lambda: instance).daemons()}
    assert {"sensor", "queued_run_coordinator", "monitoring"} <= set(found)
    assert not any(daemon.is_healthy for daemon in found.values())
    assert found["sensor"].last_seen is None


def test_the_loaded_jobs_are_those_that_the_dispatcher_noted(project: Path):
    gateway = DagsterGateway(project)
    assert gateway.loaded_jobs() == frozenset()
    write_loaded_jobs(project, frozenset({"notify_users"}))
    assert gateway.loaded_jobs() == {"notify_users"}


def test_without_a_code_server_of_ours_there_is_nothing_to_reload(project: Path):
    DagsterGateway(project).reload()


def test_a_code_server_that_does_not_answer_is_asked_again_later(
    project: Path, caplog: pytest.LogCaptureFixture
):
    write_address(project, CodeServerAddress(socket=project / "nobody", pid=1))
    DagsterGateway(project).reload()
    assert "asked again" in caplog.text
