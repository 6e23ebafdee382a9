"""Rosters of a worker pool with workers ready or at work."""

from __future__ import annotations

from dct_pipelines.clients.pool.launch import Launch
from dct_pipelines.clients.pool.roster import (
    Member,
    Roster,
    Size,
)

DIED = "its process was ended by signal 9"


def staffed(workers: int = 2, **size: float) -> Roster:
    """A roster with so many workers ready at second 0."""
    roster = Roster(Size(**{"base": workers, **size}))  # type: ignore[arg-type]
    for pid in range(1, workers + 1):
        roster.forked(pid, 0)
        roster.ready(pid, 0)
    return roster


def at_work(roster: Roster, launch: Launch, now: float = 0) -> Member:
    """The worker that has begun this launch."""
    assert roster.accept(launch)
    ((member, given),) = roster.assign(now)
    assert given == launch
    assert roster.began(member.pid, launch.key) is None
    return member
