"""Maintenance put together: for how long what is kept, and when a workspace is idle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dct_pipelines.domain.retention import RetentionPolicy
from dct_pipelines.engine.idle import IdleWorkspaces
from dct_pipelines.engine.maintenance import Maintenance
from dct_pipelines.engine.months import Months
from dct_pipelines.engine.retention import Retention

if TYPE_CHECKING:
    from dct_pipelines.bootstrap.app import App


def maintenance_of(app: App) -> Maintenance:
    """The service of one process, by the settings."""
    settings, clock = app.settings, app.outside.clock
    policy = RetentionPolicy(settings.metrics_retention_days, settings.key_retention_days)
    idle, notice = settings.workspace_idle_days, settings.workspace_notice_days
    workspaces = IdleWorkspaces(app.database, clock, app.outside.workspaces, idle, notice)
    retention = Retention(app.database, clock, policy, sent=app.outside.sent)
    months, days = Months(app.database, clock), settings.alert_credential_days
    return Maintenance(app.database, clock, months, retention, workspaces, days)
