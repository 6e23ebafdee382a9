"""How many of something there were at the same time: a sweep over the moments at which one begins or ends."""

from __future__ import annotations

from dct_pipelines.store.metrics.base import SINCE, STEP, UNTIL, bucket_of

LEVELS = f"""
edges AS MATERIALIZED (
    SELECT of, GREATEST(entered_at, {SINCE}) AS at, weight AS delta FROM held
    WHERE entered_at < {UNTIL} AND (left_at IS NULL OR left_at > GREATEST(entered_at, {SINCE}))
    UNION ALL
    SELECT of, left_at, -weight FROM held WHERE left_at > GREATEST(entered_at, {SINCE}) AND left_at < {UNTIL}
    UNION ALL
    SELECT of, bucket, 0 FROM kinds CROSS JOIN buckets
), steps AS (
    SELECT kinds.of, swept.* FROM kinds CROSS JOIN LATERAL (
        SELECT at, sum(delta) OVER swept AS level, lead(at, 1, {UNTIL}) OVER swept AS next_at
        FROM edges WHERE edges.of = kinds.of
        WINDOW swept AS (ORDER BY at, delta ROWS UNBOUNDED PRECEDING)
    ) AS swept
), levels AS (
    SELECT
        of, bucket, max(level) AS most, max(level) FILTER (WHERE next_at >= bucket + {STEP}) AS at_end,
        sum(level * date_part('epoch', next_at - at)) / date_part('epoch', {STEP}) AS average
    FROM (SELECT of, at, level, next_at, {bucket_of("at")} AS bucket FROM steps WHERE next_at > at) AS step
    GROUP BY of, bucket
)
"""  # noqa: S608 - of constants
"""`levels` (of, bucket, most, at_end, average) from `held` (of, weight, entered_at, left_at or NULL), `kinds`
(of) and `buckets`. Who leaves makes room before another one enters at the same moment. Each bucket begins
with an edge of its own, so that no step crosses its border. Steps of no length are left out: where several
leave as a bucket begins, nobody was there with the last of them. Each kind is swept by itself: edges sorted
by the moment alone, which is one number, take a third of the time."""
