"""Evaluates alerts, each minute mostly, delivers what is to be told, and gives the sign of life.

The checks of the assets `dct/alerts/...` get their results from here too, when one changes: a result at each
look would be half a million rows a year that say nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import dagster as dg

from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.domain.incidents import Incident
from dct_pipelines.sensors.ticks import HAIR_SECONDS, RESOURCE

Told = Mapping[str, Sequence[str]]
"""By rule the ids of incidents that the checks have been told of."""
Report = Callable[[Sequence[Incident], Told | None], Sequence[dg.AssetCheckEvaluation]]


def alerts_sensor(report: Report, interval_seconds: int) -> dg.SensorDefinition:
    """The sensor `alerts`, running unless an operator stops it.

    `report` gives the results of checks that have changed, from the incidents that are not resolved and what
    was told before; None: nothing yet.
    """

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            turned = getattr(context.resources, RESOURCE).app.alerts.turn()
        except DatabaseUnavailable as error:
            return dg.SkipReason(f"waiting for the database: {error}")
        live = turned.evaluation.live
        if live is None:
            return dg.SkipReason(str(turned))
        before = json.loads(context.cursor) if context.cursor else None
        results = report(live, before)
        return dg.SensorResult(skip_reason=str(turned), asset_events=results, cursor=json.dumps(told(live)))

    return dg.SensorDefinition(
        name="alerts",
        description="Opens and resolves incidents, tells people of them, and gives the sign of life.",
        evaluation_fn=tick,
        minimum_interval_seconds=interval_seconds - HAIR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={RESOURCE},
    )


def told(live: Sequence[Incident]) -> dict[str, list[str]]:
    """By rule the incidents that are not resolved: what the checks have been told."""
    found: dict[str, list[str]] = {}
    for incident in sorted(live, key=lambda one: str(one.id)):
        found.setdefault(incident.rule.value, []).append(str(incident.id))
    return found
