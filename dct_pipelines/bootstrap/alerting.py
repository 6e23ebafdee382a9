"""Alerts put together: what is looked at, whom messages go to, and what monitors see."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dct_pipelines import registry
from dct_pipelines.bootstrap.channels import DefinedChannels
from dct_pipelines.domain.incidents import Pace, Thresholds
from dct_pipelines.engine.alerts.evaluate import Evaluator
from dct_pipelines.engine.alerts.life import DeadMansSwitch
from dct_pipelines.engine.alerts.rules import Rules
from dct_pipelines.engine.alerts.sending import Ways, destinations
from dct_pipelines.engine.alerts.service import AlertService

if TYPE_CHECKING:
    from dct_pipelines.bootstrap.app import App
    from dct_pipelines.domain.channels import SlackChannel
    from dct_pipelines.domain.ports import ChannelPort
    from dct_pipelines.settings import Settings


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

    def own(channel: str) -> list[str]:
        return destinations(False, [channel], app.library.find_channel)

    make = partial(outside.channel, slack=partial(_slack, app))
    watches_metrics = settings.enable_trigger_metrics
    rules = Rules(
        app.waiting, settings.quotas, thresholds(settings), pace(settings), watches_metrics, usual_seconds
    )
    kept = timedelta(days=settings.metrics_retention_days)
    return AlertService(
        app.database,
        outside.clock,
        Evaluator(app.database, outside.clock, rules, told, own, kept),
        Ways(outside.alert_webhook, lambda: DefinedChannels(app.library, outside.outbox, make)),
        DeadMansSwitch(outside.life_signs),
        told,
    )


def usual_seconds(kind: str) -> float:
    """From one read to the next of connections of that kind; 0 where this release does not know it."""
    known = registry.listeners().get(kind)
    return known.interval_seconds if known is not None else 0.0


def thresholds(settings: Settings) -> Thresholds:
    """From what on people are told, where a trigger's manifest says nothing else."""
    return Thresholds(
        failure_percent=settings.alert_failure_percent,
        failure_minimum=settings.alert_failure_minimum,
        wait_seconds=settings.alert_wait_seconds,
        utilization_percent=settings.alert_utilization_percent,
        timeouts=settings.alert_timeouts,
        listener_seconds=settings.alert_listener_seconds,
        metrics_hours=settings.alert_metrics_hours,
        credential_days=settings.alert_credential_days,
    )


def pace(settings: Settings) -> Pace:
    """How often the rules look, and how long what they see has to last."""
    interval = timedelta(seconds=settings.alert_interval_seconds)
    return Pace(
        interval=interval,
        window=max(timedelta(seconds=settings.alert_window_seconds), 2 * interval),
        settles_after=timedelta(seconds=settings.alert_settle_seconds),
        utilization_lasts=timedelta(seconds=settings.alert_utilization_seconds),
        metrics_last=timedelta(minutes=settings.alert_metrics_minutes),
    )


def _slack(app: App, spec: SlackChannel, memory: Path) -> ChannelPort:
    """Posts through a Slack connection. No execution wrote it: who reads it there reads a bot."""
    from dct_pipelines.clients.slack.channel import SlackChannelClient

    def announce(channel: str, mark: str, instead_of: str | None = None) -> None:
        pass

    return SlackChannelClient(spec, partial(app.connected.chat, spec.connection), memory, announce)
