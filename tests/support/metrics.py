"""A small code location with the metric assets of the fake, and runs of it in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from dct_pipelines.assets.build import RESOURCE, asset_key, metric_assets
from dct_pipelines.assets.scheduling import RANGE, metric_jobs, metric_schedules
from dct_pipelines.domain.metrics import Grain
from tests.fakes.metrics import TABLES, Fact, FakeMetrics

__all__ = ["MIDNIGHT", "Laboratory", "laboratory"]

MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
"""Facts of yesterday: not yet too old to be counted, and every hour of them is over."""


class Resource:
    """Gives the services."""

    def __init__(self, app: Any) -> None:
        self.app = app


@dataclass
class Laboratory:
    """Metrics of facts that a test makes up."""

    home: Path
    instance: dg.DagsterInstance
    metrics: FakeMetrics = field(default_factory=FakeMetrics)
    kept_days: int = 90

    def __post_init__(self) -> None:
        self.since: date = (MIDNIGHT - timedelta(days=120)).date()
        settings = SimpleNamespace(home=self.home, metrics_retention_days=self.kept_days)
        self.app = SimpleNamespace(metrics=self.metrics, settings=settings)
        self.definitions = dg.Definitions(
            assets=metric_assets(TABLES, self.since),
            jobs=metric_jobs(TABLES),
            schedules=metric_schedules(TABLES, self.since),
            resources={RESOURCE: Resource(self.app)},
            executor=dg.in_process_executor,
        )

    def happened(self, trigger: str, hour: float, **facts: Any) -> None:
        """An execution that ended so many hours after yesterday's midnight."""
        self.metrics.facts.append(Fact(trigger, MIDNIGHT + timedelta(hours=hour), **facts))

    def materialize(
        self, first: str, last: str, job: str = "metrics_hourly", assets: Sequence[dg.AssetKey] | None = None
    ) -> dg.ExecuteInProcessResult:
        """The partitions from `first` to `last`, as a schedule or a backfill asks for them."""
        tags = dict(zip(RANGE, (first, last), strict=True))
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, tags=tags, asset_selection=assets, raise_on_error=not self.metrics.broken
        )

    def hours(self, first: int, last: int) -> dg.ExecuteInProcessResult:
        """Hours of yesterday, both included."""
        day = MIDNIGHT.strftime("%Y-%m-%d")
        return self.materialize(f"{day}-{first:02}:00", f"{day}-{last:02}:00")

    def files(self, table: str = "execution_metrics", grain: Grain = Grain.HOUR) -> dict[str, bytes]:
        """The files of a table, by name."""
        found = (self.home / "metrics" / table / grain.value).glob("*.parquet")
        return {path.name: path.read_bytes() for path in sorted(found)}

    def checks(self, result: dg.ExecuteInProcessResult, table: str) -> dict[str, dg.AssetCheckEvaluation]:
        """What the checks of a table say."""
        mine = asset_key(table, Grain.HOUR)
        return {one.check_name: one for one in result.get_asset_check_evaluations() if one.asset_key == mine}


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    """A laboratory on an instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Laboratory(tmp_path / "home", instance)
