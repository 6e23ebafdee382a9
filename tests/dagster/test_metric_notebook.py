"""The analyst's notebook runs on the files of a deployment, and is stored without what it gave there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from sqlalchemy import insert

from dct_pipelines.assets.materializing import materialize
from dct_pipelines.bootstrap import App
from dct_pipelines.domain.metrics import Grain, Span
from dct_pipelines.store import tables
from tests.architecture.tree import ROOT
from tests.support.deployment import *  # noqa: F403

pytestmark = pytest.mark.dagster
NOTEBOOK = ROOT / "docs/how-to/metrics.ipynb"
YESTERDAY = Grain.DAY.begin(datetime.now(UTC)) - timedelta(days=1)


def executions(app: App) -> None:
    """Some that ended yesterday."""
    rows: list[dict[str, Any]] = [
        {
            "triggered_by": "manual",
            "created_by": "tests",
            "job_name": "notify_users",
            "actions": [],
            "resource_limits": {},
            "context_snapshot": {},
            "status": "failed" if number % 4 == 0 else "completed",
            "created_at": YESTERDAY + timedelta(hours=number),
            "first_dispatched_at": YESTERDAY + timedelta(hours=number, seconds=2),
            "started_at": YESTERDAY + timedelta(hours=number, seconds=3),
            "completed_at": YESTERDAY + timedelta(hours=number, seconds=10 + number),
        }
        for number in range(24)
    ]
    with app.database.begin() as connection:
        connection.execute(insert(tables.trigger_executions), rows)


def stored() -> Any:
    """The notebook of the repository."""
    reads: Any = nbformat.read
    return reads(NOTEBOOK, as_version=4)


@contextmanager
def own_event_loop() -> Iterator[None]:
    """The client leaves the loop that it makes open, which would be a warning in somebody else's test."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@pytest.mark.timeout(300)
def test_the_notebook_runs_on_a_deployments_files(app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    executions(app)
    home = app.settings.home
    for table in app.metrics.tables.values():
        for grain in table.grains:
            span = Span(grain, YESTERDAY, YESTERDAY + timedelta(days=1))
            made = materialize(app.metrics, home, table, span, YESTERDAY)
            assert all(check.passed for check in made.checks), (table.name, made.checks)
    monkeypatch.setenv("DCT_HOME", str(home))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = stored()
    with own_event_loop():
        NotebookClient(notebook, timeout=100, kernel_name="python3").execute()
    shown = [str(output) for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("(by hand)" in text or "by hand" in text for text in shown)


def test_the_notebook_is_stored_without_outputs():
    notebook = stored()
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
