"""Fixtures: a project of its own, its Dagster instance on the test's database, and jobs as a run finds them.

A conftest or test module takes them by name: `from tests.support.deployment import *  # noqa: F403`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dct_pipelines.bootstrap import App, build
from dct_pipelines.definitions import defs
from dct_pipelines.instance.gateway import DagsterGateway
from dct_pipelines.settings import load_settings
from tests.architecture.tree import ROOT

__all__ = ["app", "instance", "job_named", "loaded", "outbox_config", "project", "run_job"]


@pytest.fixture
def project(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project directory with our own dagster.yaml; the process's environment points at it."""
    for name in ("dagster.yaml", "workspace.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DCT_DATABASE_URL", database_url)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def instance(project: Path) -> Iterator[dg.DagsterInstance]:
    """The project's Dagster instance."""
    with dg.DagsterInstance.get() as opened:
        yield opened


@pytest.fixture
def app(project: Path, instance: dg.DagsterInstance) -> Iterator[App]:
    """The services of another process of the project, e.g. the command line."""
    settings = load_settings()
    built = build(settings, DagsterGateway(settings.home, lambda: instance)).ready()
    yield built
    built.executor.stop()
    built.database.dispose()


def loaded() -> dg.Definitions:
    """The code location, loaded anew."""
    return defs()


def job_named(name: str, _project: str = "") -> dg.JobDefinition:
    """The job as a run process finds it; Dagster keeps one for each project that is named."""
    return loaded().get_job_def(name)


def run_job(
    instance: dg.DagsterInstance,
    name: str,
    config: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
    again_from: str | None = None,
) -> dg.ExecuteJobResult:
    """Carry a run out in this process; `again_from` is a failed run to re-execute from its failure."""
    whose = {"_project": instance.root_directory}
    recipe = dg.build_reconstructable_job("tests.support.deployment", "job_named", (name,), whose)
    options = dg.ReexecutionOptions.from_failure(again_from, instance) if again_from else None
    return dg.execute_job(
        recipe, instance, run_config=config, tags=tags, raise_on_error=False, reexecution_options=options
    )


def outbox_config(channel: str = "outbox") -> dict[str, Any]:
    """Parameters of a `notify_users` that needs no account."""
    return {"channels": [{"channel": channel, "to": ["team"]}], "subject": "hello", "text": "a text"}
