"""Incidents as asset checks: one external asset `dct/alerts/<rule>` a rule, with the check `no_incident`.

The sensor `alerts` reports a result when one changes; *Execute* in Dagster's UI asks again. Dagster looks at
the annotation of a check's context, hence annotations are not postponed here.
"""

from collections.abc import Mapping, Sequence

import dagster as dg

from dct_pipelines.domain.incidents import ALERT_ASSETS, AlertRule, Incident

GROUP = "dct_alerts"
CHECK = "no_incident"
RESOURCE = "dct"
LISTED = 20
DESCRIPTIONS: Mapping[AlertRule, str] = {
    AlertRule.FAILURE_RATE: "Executions of each trigger that fail.",
    AlertRule.WAIT: "Executions that wait for a reason that nobody chose.",
    AlertRule.UTILIZATION: "What is in use of each quota.",
    AlertRule.CONNECTION: "Whether each connection can be read.",
    AlertRule.TIMEOUT: "Executions that ran longer than they may.",
    AlertRule.LISTENER: "Whether each connection is read when it is due.",
    AlertRule.METRICS: "Whether metrics are computed each hour, and maintenance is done.",
}


def key_of(rule: AlertRule) -> dg.AssetKey:
    """The asset that stands for what the rule looks at."""
    return dg.AssetKey([*ALERT_ASSETS, rule.value])


def alert_assets() -> list[dg.AssetSpec]:
    """One external asset a rule: nothing materializes it."""
    return [
        dg.AssetSpec(key_of(rule), description=DESCRIPTIONS[rule], group_name=GROUP, kinds={"alert"})
        for rule in AlertRule
    ]


def alert_checks() -> list[dg.AssetChecksDefinition]:
    """The checks of these assets."""
    return [_check(rule) for rule in AlertRule]


def evaluations(
    live: Sequence[Incident], before: Mapping[str, Sequence[str]] | None
) -> list[dg.AssetCheckEvaluation]:
    """The results that have changed: `before` is by rule the incidents that there were; None: report all."""
    found = []
    for rule in AlertRule:
        mine = [incident for incident in live if incident.rule is rule]
        ids = sorted(str(incident.id) for incident in mine)
        if before is None or sorted(before.get(rule.value, ())) != ids:
            result = _result(mine)
            found.append(
                dg.AssetCheckEvaluation(
                    asset_key=key_of(rule),
                    check_name=CHECK,
                    passed=result.passed,
                    metadata=result.metadata,
                    severity=result.severity,
                )
            )
    return found


def _check(rule: AlertRule) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=key_of(rule),
        name=CHECK,
        description="Fails while an incident of this rule is not resolved.",
        required_resource_keys={RESOURCE},
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        live = getattr(context.resources, RESOURCE).app.alerts.latest(limit=1000)
        return _result([incident for incident in live if incident.rule is rule])

    return check


def _result(incidents: Sequence[Incident]) -> dg.AssetCheckResult:
    """Passed without incidents; else they are listed. Text from outside stays text."""
    listed = [f"{one.subject} ({one.state}): {one.text}" for one in incidents[:LISTED]]
    metadata = {"incidents": len(incidents)} | ({"what": dg.JsonMetadataValue(listed)} if listed else {})
    return dg.AssetCheckResult(passed=not incidents, severity=dg.AssetCheckSeverity.ERROR, metadata=metadata)
