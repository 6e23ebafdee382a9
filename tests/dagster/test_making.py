"""Runs made in bulk: what one job cannot have keeps no other from its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
from dagster._serdes import deserialize_value

from dct_pipelines.engine.dispatch import DispatchOrder
from dct_pipelines.instance.making import RunMaker
from tests.support.deployment import *  # noqa: F403
from tests.support.queue import *  # noqa: F403
from tests.support.queue import Ground

pytestmark = pytest.mark.dagster


def orders(*job_names: str) -> Sequence[DispatchOrder]:
    return [DispatchOrder(uuid4(), 1, name, 0, {"dct/attempt": "1"}) for name in job_names]


class Location:
    """A code server that cannot plan one job, and the workspace that has it."""

    name = "dct_pipelines"

    def __init__(self, ground: Ground, job_name: str) -> None:
        self._real = ground.context.create_request_context().get_code_location(self.name)
        self._job_name = job_name
        self.refused = 0

    def has_code_location(self, _name: str) -> bool:
        return True

    def get_code_location(self, _name: str) -> Location:
        return self

    def get_repositories(self) -> Any:
        return self._real.get_repositories()

    def get_execution_plan(self, job: Any, *rest: Any, **named: Any) -> Any:
        if job.name == self._job_name:
            self.refused += 1
            raise dg.DagsterError("it cannot be planned")
        return self._real.get_execution_plan(job, *rest, **named)


def test_a_job_that_cannot_be_planned_has_no_runs_and_the_others_have_theirs(ground: Ground):
    workspace: Any = Location(ground, "run_tests")
    maker = RunMaker(ground.instance, ground.storage)
    assert {"run_tests", "notify_users"} <= maker.loaded_jobs(workspace)
    made = maker.make(workspace, orders("run_tests", "notify_users", "run_tests"), {})
    assert [one.run.job_name for one in made] == ["notify_users"]
    assert [deserialize_value(one.body, dg.DagsterRun) for one in made] == [one.run for one in made]
    assert workspace.refused == 1
    assert maker.make(workspace, orders("run_tests"), {}) == []
