"""What assets are made of, read before any service is there."""

from __future__ import annotations

from dct_pipelines.domain.metrics import MetricTable


def metric_tables() -> dict[str, MetricTable]:
    """Every metric table by its name, each after those that it is computed from; no database is asked."""
    from dct_pipelines.engine.metrics import metric_tables

    return metric_tables()
