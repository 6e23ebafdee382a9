"""Plain Dagster commands, as people type them, with nothing else running; and the configs of `examples/`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from ruamel.yaml import YAML
from sqlalchemy import text

from dct_pipelines.store.database import Database
from dct_pipelines.store.embedded import EmbeddedPostgres
from tests.architecture.tree import ROOT
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import loaded

pytestmark = pytest.mark.dagster
CONFIGS = sorted((ROOT / "examples/run_configs").glob("*.yaml"))


def config_of(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe").load(path)
    return read


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_run_config_fits_the_job_that_it_names(project: Path, path: Path):
    config = config_of(path)
    job = loaded().get_job_def("__".join(config["ops"]))
    assert dg.validate_run_config(job, config)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_run_config_shows_the_command_that_takes_it(path: Path):
    said = " ".join(line.strip("# \\") for line in path.read_text().splitlines() if line.startswith("#"))
    job = "__".join(config_of(path)["ops"])
    assert (
        f"dagster job execute -m dct_pipelines.definitions -j {job} -c examples/run_configs/{path.name}"
        in said
    )


def dagster(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`dagster job ...` with the config that needs nothing, in a process of its own."""
    job = ("-j", "notify_users", "-c", str(ROOT / "examples/run_configs/notify.yaml"))
    return subprocess.run(
        [sys.executable, "-m", "dagster", "job", *arguments, *job],
        cwd=project,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_job_is_executed_with_nothing_else_running_and_no_database_yet(
    project: Path, reachable_directory: Path, monkeypatch: pytest.MonkeyPatch
):
    """The embedded database is started and migrated by the command itself."""
    home = reachable_directory / "home"
    monkeypatch.delenv("DCT_DATABASE_URL")
    monkeypatch.setenv("DCT_HOME", str(home))
    try:
        answer = dagster(project, "execute", "-m", "dct_pipelines.definitions")
        assert answer.returncode == 0, answer.stderr
        assert len(list((home / "outbox").glob("*.json"))) == 1
    finally:
        EmbeddedPostgres(home).stop()


def test_launching_a_job_queues_it_for_the_daemon(project: Path, instance: dg.DagsterInstance):
    answer = dagster(project, "launch", "-w", "workspace.yaml")
    assert answer.returncode == 0, answer.stderr
    (run,) = instance.get_runs()
    assert (run.job_name, run.status) == ("notify_users", dg.DagsterRunStatus.QUEUED)
    assert run.tags["dct/shape"] == "notify_users"


def test_a_database_of_ones_own_that_was_never_migrated_is_explained(project: Path, database: Database):
    with database.begin() as connection:
        connection.execute(text("DROP SCHEMA dct CASCADE"))
    answer = dagster(project, "execute", "-m", "dct_pipelines.definitions")
    assert answer.returncode != 0
    assert "run `dct db migrate`" in answer.stdout + answer.stderr
