"""Every metric, each after those that it is computed from."""

from __future__ import annotations

from collections.abc import Mapping

from dct_pipelines.store.metrics import (
    business,
    capacity,
    executions,
    failures,
    queue,
    reading,
    responses,
    slow,
    utilization,
)
from dct_pipelines.store.metrics.base import Metric

METRICS: Mapping[str, Metric] = {
    module.METRIC.table.name: module.METRIC
    for module in (
        executions,
        responses,
        queue,
        utilization,
        reading,
        failures,
        business,
        slow,
        capacity,
    )
}
