"""The code location loads whatever the database does, and a new shape is there after the next load."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from ruamel.yaml import YAML
from sqlalchemy import insert

from dct_pipelines import registry
from dct_pipelines.bootstrap import App, load_shapes
from dct_pipelines.cli.supervisor import LOCATION, MODULE
from dct_pipelines.domain.shapes import built_in, job_name
from dct_pipelines.jobs.ops import SHAPE_TAG
from dct_pipelines.settings import load_settings
from dct_pipelines.store import tables
from tests.architecture.tree import ROOT
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import loaded

pytestmark = pytest.mark.dagster
NEW = ("run_tests", "run_tests")
NOBODY = "postgresql://dct@127.0.0.1:1/dct"


def job_names() -> set[str]:
    """Those of executions."""
    jobs = [job for job in loaded().jobs or [] if isinstance(job, dg.JobDefinition)]
    return {job.name for job in jobs if SHAPE_TAG in job.tags}


def built_in_names() -> set[str]:
    return {job_name(shape) for shape in built_in(registry.actions())}


def add(app: App, *shape: str) -> None:
    with app.database.begin() as connection:
        connection.execute(insert(tables.shapes).values(job_name=job_name(shape), actions=list(shape)))


def test_a_new_shape_is_a_job_after_the_next_load(app: App):
    assert job_names() == built_in_names()
    add(app, *NEW)
    assert job_names() == built_in_names() | {job_name(NEW)}
    assert app.buildable_jobs() == {job_name(NEW)}


def test_a_shape_whose_action_this_release_does_not_have_is_left_out(app: App):
    add(app, "teleport")
    assert job_names() == built_in_names()
    assert app.buildable_jobs() == frozenset()


def test_with_the_database_down_the_jobs_are_those_of_the_last_load(
    app: App, monkeypatch: pytest.MonkeyPatch
):
    add(app, *NEW)
    job_names()
    monkeypatch.setenv("DCT_DATABASE_URL", NOBODY)
    assert job_names() == built_in_names() | {job_name(NEW)}
    assert "as last read" in load_shapes(load_settings()).source


def test_without_any_database_the_jobs_are_those_that_are_built_in(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DCT_DATABASE_URL", NOBODY)
    assert job_names() == built_in_names()


def test_loading_before_the_first_use_starts_no_database(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DCT_DATABASE_URL")
    assert job_names() == built_in_names()
    assert not (project / ".dct").exists()


def test_every_way_to_start_uses_the_same_location_and_module():
    """Sensors keep their state, and runs their origin, whether plain Dagster or `dct up` serves them."""
    (entry,) = YAML(typ="safe").load(ROOT / "workspace.yaml")["load_from"]
    assert entry["python_module"] == {"module_name": MODULE, "location_name": LOCATION}
