"""Maintenance as a sign: what keeps the deployment in order and is not done any more.

Nobody misses it for weeks, until the disk is full.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.incidents import AlertRule, Sign
from dct_pipelines.engine.maintenance import STEPS
from dct_pipelines.store import upkeep
from dct_pipelines.store.database import Connection

NEGLECTED = timedelta(days=2)
"""It is done each night: one that was missed is nothing yet."""
SUBJECT = "maintenance"


def maintenance_signs(connection: Connection, now: datetime) -> Iterator[Sign]:
    """Steps that did not succeed for two days; a deployment that is younger has had no time for them."""
    done, begun_at = upkeep.last_done(connection), upkeep.begun_at(connection)
    undone = [step for step in STEPS if now - done.get(step, begun_at or now) > NEGLECTED]
    if not undone:
        return
    if len(undone) == len(STEPS):
        last = max(done.values(), default=None)
        was = f"was done last at {last:%Y-%m-%d %H:%M} UTC" if last is not None else "was never done"
        said, steps = f"Maintenance {was}: what is old is not deleted", ""
    else:
        are = counted(len(undone), "step")
        said = f"{are} of maintenance did not succeed for {NEGLECTED.days} days: {', '.join(undone)}"
        steps = "".join(f" --step {step}" for step in undone)
    yield Sign(
        AlertRule.METRICS,
        SUBJECT,
        f"{said}; look at the runs of its schedule in Dagster, or have it done: `dct maintenance run{steps}` "
        "says what is in its way",
        figures={"steps": undone},
    )
