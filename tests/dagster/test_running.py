"""Which runs a worker begins: what it is handed may have been said minutes before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import GRPC_INFO_TAG

from dct_pipelines.domain import run_tags
from dct_pipelines.instance.launcher import PROCESS, WARM, has_own_process, launch_of
from tests.support.deployment import *  # noqa: F403
from tests.support.warm import Workshop, kinds

pytestmark = pytest.mark.dagster


@pytest.fixture
def workshop(project: Path) -> Iterator[Workshop]:
    opened = Workshop(project, "tests.support.warm_jobs")
    yield opened
    opened.close()


def test_a_run_that_was_cancelled_before_its_launch_arrived_is_not_begun(workshop: Workshop):
    run = workshop.make("three")
    workshop.instance.report_run_canceled(run)
    before = kinds(workshop.instance, run.run_id)
    assert workshop.do(run).status is dg.DagsterRunStatus.CANCELED
    assert kinds(workshop.instance, run.run_id) == before


def test_a_run_that_was_given_a_process_of_its_own_is_left_to_that(workshop: Workshop):
    run = workshop.make("three")
    workshop.instance.add_run_tags(run.run_id, {run_tags.LAUNCHER: PROCESS})
    assert workshop.do(run).status is dg.DagsterRunStatus.STARTING
    assert kinds(workshop.instance, run.run_id) == []


def test_a_run_that_repeats_one_with_a_process_of_its_own_is_begun_by_a_worker(workshop: Workshop):
    inherited = {GRPC_INFO_TAG: "{}", run_tags.LAUNCHER: WARM}
    run = workshop.make("three", inherited)
    assert not has_own_process(run)
    assert workshop.do(run).status is dg.DagsterRunStatus.SUCCESS


def test_a_run_that_was_deleted_is_not_begun(workshop: Workshop):
    run = workshop.make("three")
    workshop.instance.delete_run(run.run_id)
    workshop.worker.work(launch_of(run))
    assert workshop.instance.get_run_by_id(run.run_id) is None
