"""What keeps the deployment in order: is it done, are the coming months made, what expires."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.diagnosis import Told, fail, ok, warn
from dct_pipelines.domain.retention import months_ahead
from dct_pipelines.engine import expiring
from dct_pipelines.engine.maintenance import STEPS
from dct_pipelines.store import months, partitions, upkeep
from dct_pipelines.store.database import Connection, Database

OVERDUE = timedelta(days=3)
SETTLED = timedelta(days=1)
"""So long after `dct up` began, its daily maintenance has had its turn."""
MONTHS_NEEDED = 3
"""This month and the two that come; maintenance makes more."""
MANY_IN_DEFAULT = 50_000
"""What outlives its month lies in the default partition too, and is never so much."""


def look(
    database: Database,
    now: datetime,
    up_since: datetime | None,
    credential_days: float = expiring.WARN_DAYS,
) -> Iterator[Told]:
    """Everything; `up_since` is when the `dct up` of this home began, None where none runs."""
    with database.connect() as connection:
        yield from look_at_steps(connection, now, up_since)
        yield from _months(connection, now)
        yield from look_into_defaults(connection, MANY_IN_DEFAULT)
        tokens = expiring.tokens(connection, now)
        endings = expiring.credentials(connection, now, credential_days)
    for sentence in tokens:
        yield warn(sentence, expiring.MEND)
    for one in endings:
        yield warn(one.says, one.mend)
    if not tokens and not endings:
        yield ok("no token or credential ends before long, as far as providers tell")


def look_at_steps(connection: Connection, now: datetime, up_since: datetime | None) -> Iterator[Told]:
    """Whether maintenance is done, where there is a `dct up` that should do it."""
    done, begun_at = upkeep.last_done(connection), upkeep.begun_at(connection)
    last = max(done.values(), default=None)
    told = f"was done last at {last:%Y-%m-%d %H:%M} UTC" if last is not None else "was never done"
    overdue = [step for step in STEPS if now - done.get(step, begun_at or now) > OVERDUE]
    if not overdue or up_since is None or now - up_since < SETTLED:
        yield ok(f"maintenance {told}")
    elif len(overdue) == len(STEPS):
        yield warn(
            f"maintenance {told}, although `dct up` runs: what is old is not deleted",
            "see in Dagster's UI whether the schedule `maintenance` is stopped or its runs fail; "
            "`dct maintenance run` does it now",
        )
    else:
        yield warn(
            f"{counted(len(overdue), 'step')} of maintenance did not succeed for {OVERDUE.days} days: "
            f"{', '.join(overdue)}",
            f"`dct maintenance run{''.join(f' --step {one}' for one in overdue)}` does it, or says why not",
        )


def _months(connection: Connection, now: datetime) -> Iterator[Told]:
    for payload in partitions.PAYLOADS:
        for promise in months.promises(connection, payload):
            yield fail(
                f"{payload.default.name} refuses rows by {promise}, which a step that was cut off left",
                "`dct maintenance run --step months`, before that month begins",
            )
    needed = months_ahead(now)[:MONTHS_NEEDED]
    missing = [
        partitions.name_of(payload, month)
        for payload in partitions.PAYLOADS
        for month in partitions.missing(connection, payload, needed)
    ]
    if missing:
        are = "partition is" if len(missing) == 1 else "partitions are"
        yield warn(
            f"the {are} not made of {', '.join(missing)}: what comes then will lie in the default one",
            "`dct maintenance run --step months`",
        )
    else:
        yield ok("the partitions of the coming months are made")


def look_into_defaults(connection: Connection, many: int) -> Iterator[Told]:
    """Whether months came in that had no partition: their rows have to be deleted one by one."""
    for payload in partitions.PAYLOADS:
        rows = partitions.in_default(connection, payload)
        if rows > many:
            yield warn(
                f"about {counted(rows, 'row')} of {payload.name} are in the default partition, from months "
                "that were not made in time",
                "nothing is lost: `dct maintenance run` makes the next months, and deletes what is old here",
            )
