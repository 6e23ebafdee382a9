"""`business_metrics`: what teams ask about: tickets moved, deployments, and the four figures of DORA."""

from __future__ import annotations

from dct_pipelines.domain.metrics import MetricTable
from dct_pipelines.store.metrics.base import (
    ALL,
    BUCKETS,
    ENDED,
    SINCE,
    TRIGGER_TYPE,
    UNTIL,
    Metric,
    bucket_of,
    clamped,
    count,
    key,
    number,
    seconds,
)

TABLE = MetricTable(
    "business_metrics",
    "Tickets moved and deployments: how many, how long after the change, how many failed, how soon mended.",
    (
        key("dimension", "what rows are told apart by: all, trigger_type or environment"),
        key("value", "which one of it"),
        count(
            "tickets_moved", "tickets that executions brought to another status; 0 by environment", "tickets"
        ),
        count("deployments", "that ended in the bucket, well or not (deployment frequency)", "deployments"),
        count("failed_deployments", "of them failed", "deployments"),
        number("change_failure_percent", "failed, of the deployments", "%"),
        number(
            "ready_p50_seconds", "from the change that fired to the end of a good deployment; the middle", "s"
        ),
        number(
            "lead_time_p50_seconds",
            "from the first event since the subject's last good deployment there",
            "s",
        ),
        count("restores", "good deployments to an environment whose last one had failed", "deployments"),
        number("restore_mean_seconds", "from the first of those failures to the restore; mean", "s"),
    ),
    plotted=("deployments", "change_failure_percent", "lead_time_p50_seconds", "restore_mean_seconds"),
    whole=(("dimension", ALL),),
    in_every_bucket=True,
)
_NAMING = ("link", "assignee", "priority")
_MAY_MISLEAD = ", ".join(f"""'%"{what} %'""" for what in _NAMING)
_MOVE = " && ".join(('@ like_regex " → "', *(f'!(@ starts with "{what} ")' for what in _NAMING)))
_MOVED = f"""
a.outputs ->> 'changed' LIKE '% → %' AND (
    NOT a.outputs ->> 'changed' LIKE ANY (ARRAY[{_MAY_MISLEAD}])
    OR jsonb_path_exists(a.outputs, '$.changed[*] ? ({_MOVE})')
)
"""
"""`Ready → In QA` is a ticket that was moved. A link's title or a name may have an arrow in it as well: only
where there is one, the slow way is gone, change by change."""
_IS_LONG = f"({UNTIL} - {SINCE} > 8 * interval '24 hours')"
"""Of a long span the last deployment of a subject before each is found by a window over all there are; of a
short one it is looked up for each, so that an hour costs its own deployments and not those of all time."""
_FIRST = f"CASE WHEN {_IS_LONG} THEN '-infinity' ELSE {SINCE} END"
_DEPLOYED = f"""
places AS (
    (SELECT environment FROM dct.deployments ORDER BY environment LIMIT 1)
    UNION ALL
    SELECT (SELECT min(environment) FROM dct.deployments WHERE environment > places.environment)
    FROM places WHERE environment IS NOT NULL
), failing AS MATERIALIZED (
    SELECT environment, (
        SELECT d.ended_at FROM dct.deployments AS d
        WHERE d.environment = places.environment AND d.state = 'failed' AND d.ended_at < {SINCE}
            AND d.ended_at >= COALESCE(good.ended_at, '-infinity')
            AND (good.id IS NULL OR (d.ended_at, d.id) > (good.ended_at, good.id))
        ORDER BY d.ended_at LIMIT 1
    ) AS since
    FROM places LEFT JOIN LATERAL (
        SELECT d.ended_at, d.id FROM dct.deployments AS d
        WHERE d.environment = places.environment AND d.state = 'succeeded' AND d.ended_at < {SINCE}
        ORDER BY d.ended_at DESC, d.id DESC LIMIT 1
    ) AS good ON true
    WHERE NOT {_IS_LONG}
), history AS (
    SELECT
        d.execution_id, d.environment, d.state, d.ended_at, e.trigger_id, e.event_id, e.line_order AS seq,
        count(*) FILTER (WHERE d.state = 'succeeded') OVER (
            PARTITION BY d.environment ORDER BY d.ended_at, d.id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS successes,
        CASE WHEN {_IS_LONG} THEN max(e.line_order) FILTER (WHERE d.state = 'succeeded') OVER (
            PARTITION BY d.environment, e.item_id, e.subject ORDER BY d.ended_at
            RANGE BETWEEN UNBOUNDED PRECEDING AND '1 microsecond' PRECEDING
        ) END AS newest_before
    FROM dct.deployments AS d LEFT JOIN dct.trigger_executions AS e ON e.id = d.execution_id
    WHERE d.state IN ('succeeded', 'failed') AND d.ended_at >= {_FIRST} AND d.ended_at < {UNTIL}
), told AS (
    SELECT history.*, LEAST(
        CASE WHEN successes = 0 THEN failing.since END,
        min(ended_at) FILTER (WHERE state = 'failed') OVER (PARTITION BY environment, successes)
    ) AS failing_since
    FROM history LEFT JOIN failing USING (environment)
), deployed AS (
    SELECT
        {bucket_of("told.ended_at")} AS bucket, {TRIGGER_TYPE} AS trigger_type, told.environment,
        told.state = 'failed' AS is_failed,
        told.state = 'succeeded' AND failing_since IS NOT NULL AS is_restore,
        CASE WHEN told.state = 'succeeded' THEN {seconds("event.occurred_at", "told.ended_at")} END AS ready,
        CASE WHEN told.state = 'succeeded' THEN {seconds("first.occurred_at", "told.ended_at")} END AS lead,
        CASE WHEN told.state = 'succeeded' THEN {seconds("failing_since", "told.ended_at")} END AS restore
    FROM told
    LEFT JOIN dct.events AS event ON event.id = told.event_id
    LEFT JOIN dct.dynamic_context_triggers AS trigger ON trigger.id = told.trigger_id
    LEFT JOIN LATERAL (
        SELECT v.seq FROM dct.events AS v
        JOIN dct.trigger_executions AS other ON other.event_id = v.id
        JOIN dct.deployments AS d ON d.execution_id = other.id
        WHERE told.state = 'succeeded' AND (NOT {_IS_LONG} OR told.newest_before >= told.seq)
            AND v.item_id = event.item_id AND v.subject = event.subject AND v.seq < event.seq
            AND d.environment = told.environment AND d.state = 'succeeded' AND d.ended_at < told.ended_at
        ORDER BY v.seq DESC LIMIT 1
    ) AS overtaken ON true
    LEFT JOIN LATERAL (
        SELECT occurred_at FROM dct.events AS v
        WHERE told.state = 'succeeded' AND v.item_id = event.item_id AND v.subject = event.subject
            AND v.seq > COALESCE(
                CASE WHEN told.newest_before < told.seq THEN told.newest_before ELSE overtaken.seq END, 0
            )
        ORDER BY v.seq LIMIT 1
    ) AS first ON true
    WHERE told.ended_at >= {SINCE} AND told.execution_id IS NOT NULL
)
"""  # noqa: S608 - of constants
"""An execution's place in line is the place of its event. In a long span the last good deployment of a
subject is mostly that of the newest event; only where a newer one overtook it, the one before is looked up.
What failed before a short span, since the last good deployment to the same environment, is `failing`."""
_STATEMENT = f"""
WITH RECURSIVE {BUCKETS}, {_DEPLOYED}, ended AS MATERIALIZED (
    SELECT e.id, {bucket_of("e.completed_at")} AS bucket, {TRIGGER_TYPE} AS trigger_type
    FROM dct.trigger_executions AS e
    LEFT JOIN dct.dynamic_context_triggers AS trigger ON trigger.id = e.trigger_id
    WHERE {ENDED}
), moved AS (
    SELECT bucket, trigger_type FROM ended JOIN dct.action_results AS a ON a.execution_id = ended.id
    WHERE a.action_type = 'update_ticket' AND a.state IN ('done', 'partly') AND {_MOVED}
), tickets AS (
    SELECT
        bucket, CASE GROUPING(trigger_type) WHEN 0 THEN 'trigger_type' ELSE '{ALL}' END AS dimension,
        COALESCE(trigger_type, '{ALL}') AS value, count(*) AS tickets_moved
    FROM moved GROUP BY GROUPING SETS ((bucket, trigger_type), (bucket))
), measured AS (
    SELECT
        bucket,
        CASE
            WHEN GROUPING(trigger_type) = 0 THEN 'trigger_type'
            WHEN GROUPING(environment) = 0 THEN 'environment'
            ELSE '{ALL}'
        END AS dimension,
        COALESCE(trigger_type, environment, '{ALL}') AS value, count(*) AS deployments,
        count(*) FILTER (WHERE is_failed) AS failed_deployments,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY {clamped("ready")}) AS ready_p50_seconds,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY {clamped("lead")}) AS lead_time_p50_seconds,
        count(*) FILTER (WHERE is_restore) AS restores,
        avg({clamped("restore")}) AS restore_mean_seconds
    FROM deployed GROUP BY GROUPING SETS ((bucket, trigger_type), (bucket, environment), (bucket))
)
SELECT
    bucket, dimension, value, COALESCE(tickets_moved, 0) AS tickets_moved,
    COALESCE(deployments, 0) AS deployments, COALESCE(failed_deployments, 0) AS failed_deployments,
    100.0 * failed_deployments / deployments AS change_failure_percent, ready_p50_seconds,
    lead_time_p50_seconds, COALESCE(restores, 0) AS restores, restore_mean_seconds
FROM (SELECT bucket, '{ALL}' AS dimension, '{ALL}' AS value FROM buckets) AS always
FULL JOIN measured USING (bucket, dimension, value)
FULL JOIN tickets USING (bucket, dimension, value)
"""  # noqa: S608 - of constants
METRIC = Metric(TABLE, _STATEMENT)
