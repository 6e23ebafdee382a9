"""Dagster's own commands find or start the embedded database, with nothing else running or named."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from dct_pipelines.settings import load_settings
from dct_pipelines.store.embedded import EmbeddedPostgres

pytestmark = [pytest.mark.dagster, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = """
import dagster as dg

@dg.op
def one(): ...

@dg.job(executor_def=dg.in_process_executor)
def small(): one()

defs = dg.Definitions(jobs=[small])
"""


@pytest.fixture
def project(reachable_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with our dagster.yaml and nothing else."""
    (reachable_directory / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(reachable_directory))
    monkeypatch.delenv("DCT_DATABASE_URL", raising=False)
    yield reachable_directory
    EmbeddedPostgres(load_settings().home).stop()


def test_dagster_job_execute_works_alone(project: Path) -> None:
    (project / "definitions.py").write_text(DEFINITIONS)
    command = [sys.executable, "-m", "dagster", "job", "execute", "-f", "definitions.py", "-j", "small"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with dg.DagsterInstance.get() as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]


def test_an_instance_goes_on_after_the_server_was_killed(project: Path) -> None:
    embedded = EmbeddedPostgres(load_settings().home)
    with dg.DagsterInstance.get() as instance:
        for _ in range(2):
            assert instance.get_runs() == []
            process = psutil.Process(embedded.pid())
            process.kill()
            psutil.wait_procs([process])
        assert instance.get_runs() == []
