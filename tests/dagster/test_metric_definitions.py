"""Metrics in the code location: there unless they are switched off, and light until they are computed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import loaded

pytestmark = pytest.mark.dagster
HEAVY = ("pandas", "pyarrow", "matplotlib", "numpy", "PIL")


def test_the_location_has_the_assets_their_jobs_and_their_schedules(project: Path):
    found = loaded()
    keys = found.resolve_asset_graph().materializable_asset_keys
    assert {key.path[0] for key in keys} == {"metrics"}
    for name in ("metrics_hourly", "metrics_daily"):
        assert found.resolve_job_def(name).executor_def is dg.in_process_executor
        assert found.resolve_schedule_def(name).default_status is dg.DefaultScheduleStatus.RUNNING
    assert found.resolve_asset_graph().asset_check_keys


def test_metrics_that_are_switched_off_are_not_there(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ENABLE_TRIGGER_METRICS", "false")
    found = loaded()
    graph = found.resolve_asset_graph()
    assert {key.path[1] for key in graph.get_all_asset_keys()} == {"alerts"}
    assert {check.asset_key.path[1] for check in graph.asset_check_keys} == {"alerts"}
    assert [schedule.name for schedule in found.schedules or []] == ["maintenance"]
    assert found.resolve_job_def("merge_branches").name == "merge_branches"
    assert "metrics_hourly" not in {job.name for job in found.resolve_all_job_defs()}


def test_who_only_loads_the_definitions_does_not_load_what_computes_with_data(project: Path):
    program = (
        "import sys; from dct_pipelines.definitions import defs;"
        "defs().get_repository_def().load_all_definitions();"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout.strip()) == (0, "[]"), answer.stderr
