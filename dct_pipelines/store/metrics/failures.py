"""`failure_analysis`: failures that are alike, whatever ids, numbers and names are in their messages."""

from __future__ import annotations

from dct_pipelines.domain.metrics import MetricTable
from dct_pipelines.store.metrics.base import (
    NONE,
    SINCE,
    TRIGGER,
    UNTIL,
    Metric,
    bucket_of,
    count,
    instant,
    key,
    word,
)

LONGEST_MESSAGE = 400
_CHANGING = "|".join(
    (
        '"[^"]*"',
        "`[^`]*`",
        r"(?<!\w)''[^'']*''",
        r"[\w.+-]+@[\w.:/~-]*\w",
        r"(\w+:/|[\w.~-]*)/([^\s,;()]*[^\s,;().:?!])?",
        r"[\w.-]*\d([\w.-]*\w|,\d)*",
    )
)
"""What differs between failures that are alike: quoted texts, addresses of mail and of the web, paths,
whatever has a digit in it (numbers, times, versions, hashes, UUIDs, keys of tickets). The longest match
counts, without the punctuation that ends it."""
_BLANK = r"E' \n\r\t'"


def _line(message: str) -> str:
    """Its first line that is not blank; NULL if there is none."""
    line = f"btrim(split_part(btrim({message}, {_BLANK}), chr(10), 1), {_BLANK})"
    return f"NULLIF(left({line}, {LONGEST_MESSAGE}), '')"


TABLE = MetricTable(
    "failure_analysis",
    "Clusters of like failures: executions that ended failed in the bucket, by trigger, action and message.",
    (
        key("trigger", "the trigger's name"),
        key("action", f"the type of the action that failed; `{NONE}` when it failed outside of one"),
        key("cluster", "stands for the pattern"),
        word("pattern", "the message's first line, with … for what changes"),
        count("failures", "executions", "executions"),
        word("sample", "the message of the last of them"),
        word("sample_execution", "the id of that execution"),
        instant("first_seen_at", "when the first of them ended within the bucket"),
        instant("last_seen_at", "when the last of them ended"),
    ),
    plotted=("failures",),
)
_STATEMENT = f"""
WITH failed AS (
    SELECT
        {bucket_of("e.completed_at")} AS bucket, e.id, e.completed_at,
        {TRIGGER} COLLATE "C" AS trigger, COALESCE(action.action_type, '{NONE}') COLLATE "C" AS action,
        COALESCE({_line("e.error_message")}, {_line("action.error_message")}, '{NONE}') AS message
    FROM dct.trigger_executions AS e
    LEFT JOIN dct.dynamic_context_triggers AS trigger ON trigger.id = e.trigger_id
    LEFT JOIN LATERAL (
        SELECT action_type, error_message FROM dct.action_results AS a
        WHERE a.execution_id = e.id AND a.state IN ('failed', 'uncertain', 'started')
        ORDER BY a.action_index LIMIT 1
    ) AS action ON true
    WHERE e.status = 'failed' AND e.completed_at >= {SINCE} AND e.completed_at < {UNTIL}
), alike AS MATERIALIZED (
    SELECT *, regexp_replace(message, '{_CHANGING}', '…', 'g') AS pattern FROM failed
)
SELECT
    bucket, trigger, action, left(md5(pattern), 12) AS cluster, min(pattern) AS pattern, count(*) AS failures,
    (array_agg(message ORDER BY completed_at DESC, id))[1] AS sample,
    (array_agg(CAST(id AS text) ORDER BY completed_at DESC, id))[1] AS sample_execution,
    min(completed_at) AS first_seen_at, max(completed_at) AS last_seen_at
FROM alike GROUP BY bucket, trigger, action, left(md5(pattern), 12)
"""  # noqa: S608 - of constants
METRIC = Metric(TABLE, _STATEMENT)
