"""`slow_triggers`: the slowest of a day against their usual, from the executions themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from dct_pipelines.domain.metrics import Grain, Span
from tests.support.measured import Past, Row
from tests.support.reckoning.figures import Rows, buckets, ended_in, grouped, mean, percentile, sound, took

MOST = 20
USUAL = timedelta(days=14)


def slowest(history: Sequence[Past], span: Span) -> Rows:
    """The rows of `slow_triggers`."""
    known = Span(Grain.DAY, span.since - USUAL, span.until)
    days = grouped(history, lambda past: [(ended_in(past, known), past.names[0])])
    times = {
        key: sound(took(past.started_at, past.completed_at) for past in some) for key, some in days.items()
    }
    p95 = {key: value for key, some in times.items() if (value := percentile(some, 0.95)) is not None}
    found: Rows = {}
    for day in buckets(span):
        ranked = sorted((-value, trigger) for (at, trigger), value in p95.items() if at == day)
        for place, (_, trigger) in enumerate(ranked[:MOST], 1):
            found[day, trigger] = {
                "place": place,
                "executions": len(days[day, trigger]),
                "mean_seconds": mean(times[day, trigger]),
                "p50_seconds": percentile(times[day, trigger], 0.5),
                **_against_usual(p95, day, trigger),
                **_longest(days[day, trigger]),
            }
    return found


def _against_usual(p95: dict[tuple[datetime, str], float], day: datetime, trigger: str) -> Row:
    before = [value for (at, name), value in p95.items() if name == trigger and day - USUAL <= at < day]
    now, usual = p95[day, trigger], mean(before)
    return {
        "p95_seconds": now,
        "usual_p95_seconds": usual,
        "times_usual": now / usual if usual else None,
    }


def _longest(history: Sequence[Past]) -> Row:
    spent: dict[str, float] = defaultdict(float)
    for past in history:
        for act in past.acts:
            spent[act.type] += sum(sound([took(act.started_at, act.ended_at)]))
    most, action = min(((-seconds, action) for action, seconds in spent.items()), default=(0.0, None))
    if not most:
        return {"slowest_action": None, "slowest_action_percent": None}
    return {"slowest_action": action, "slowest_action_percent": -100.0 * most / sum(spent.values())}
