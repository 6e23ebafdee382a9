"""What tells other systems how the deployment does, wired: for Prometheus and for OpenTelemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dct_pipelines
from dct_pipelines.bootstrap.app import App

if TYPE_CHECKING:
    from dct_pipelines.domain.gateway import Daemons
    from dct_pipelines.engine.exposition import Exposition
    from dct_pipelines.engine.tracing import TraceExport


def exposition_of(app: App, daemons: Daemons | None, *, in_haste: bool = False) -> Exposition:
    """What Prometheus scrapes, by somebody's word for which of Dagster's daemons are alive.

    One a process: it remembers its answer for a while. `in_haste`: who asks comes again, and soon.
    """
    from dct_pipelines.engine.exposition import HASTE_SECONDS, Exposition

    exposition = Exposition(
        app.database,
        app.outside.clock,
        app.quotas,
        app.waiting,
        daemons,
        version=dct_pipelines.__version__,
        release=app.release,
    )
    if in_haste:
        exposition.patience_seconds = HASTE_SECONDS
    return exposition


def trace_export_of(app: App) -> TraceExport:
    """Sends traces of what has ended; `InvalidSetting` where no collector is named."""
    from dct_pipelines.engine.tracing import TraceExport

    return TraceExport(app.database, app.outside.clock, app.outside.span_sink)
