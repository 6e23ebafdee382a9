"""Alerts put together: what is looked at, whom messages go to, and what monitors see."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dct_pipelines.bootstrap.channels import DefinedChannels
from dct_pipelines.engine.alerts.evaluate import Evaluator
from dct_pipelines.engine.alerts.life import DeadMansSwitch
from dct_pipelines.engine.alerts.rules import Rules
from dct_pipelines.engine.alerts.sending import Ways, destinations
from dct_pipelines.engine.alerts.service import AlertService

if TYPE_CHECKING:
    from dct_pipelines.bootstrap.app import App
    from dct_pipelines.domain.channels import SlackChannel
    from dct_pipelines.domain.ports import ChannelPort


def alerts_of(app: App) -> AlertService:
    """The service of one process. Channels are looked up anew for each message: manifests change."""
    settings, outside = app.settings, app.outside
    names = tuple(filter(None, map(str.strip, (settings.alert_channels or "").split(","))))
    told = partial(
        destinations,
        settings.alert_webhook_url is not None,
        names,
        app.library.find_channel,
    )
    make = partial(outside.channel, slack=partial(_slack, app))
    rules = Rules(app.waiting, settings.quotas, settings.alert_thresholds, settings.enable_trigger_metrics)
    kept = timedelta(days=settings.metrics_retention_days)
    return AlertService(
        app.database,
        outside.clock,
        Evaluator(app.database, outside.clock, rules, told, kept),
        Ways(outside.alert_webhook, lambda: DefinedChannels(app.library, outside.outbox, make)),
        DeadMansSwitch(outside.life_signs),
        told,
    )


def _slack(app: App, spec: SlackChannel, memory: Path) -> ChannelPort:
    """Posts through a Slack connection. No execution wrote it: who reads it there reads a bot."""
    from dct_pipelines.clients.slack.channel import SlackChannelClient

    def announce(channel: str, mark: str, instead_of: str | None = None) -> None:
        pass

    return SlackChannelClient(spec, partial(app.connected.chat, spec.connection), memory, announce)
