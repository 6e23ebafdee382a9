"""Random histories of executions: any that there may be, and some that only clocks that disagree can make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.support.complaints import complaints
from tests.support.measured import DELETED, ENVIRONMENTS, Act, Deployed, Past

SPRING, AUTUMN = datetime(2026, 3, 28, tzinfo=UTC), datetime(2025, 10, 25, tzinfo=UTC)
"""On the day after each, clocks are set in Berlin; in New York the weekends before and after."""
LENGTH = timedelta(days=2)
_ZONES = (UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Asia/Kathmandu"))
_MINUTES = st.one_of(st.integers(-600, 3400), st.sampled_from([0, 60, 1440, 2880, 1500, 1560]))
_STEPS = st.one_of(st.integers(-90_000, 7_200_000), st.sampled_from([0, 3_600_000, 86_400_000]))
_STATUSES = ("completed", "completed", "failed", "failed", "cancelled", "waiting", "running")
_MOVE = "Ready → In QA"
_DID = ("labels +qa", "priority High", "assignee Ada → Bob", "link To do → Done: the guide", "a comment")


def later(at: datetime, milliseconds: int) -> datetime:
    """So many milliseconds after, in the same zone."""
    return (at.astimezone(UTC) + timedelta(milliseconds=milliseconds)).astimezone(at.tzinfo)


@st.composite
def _acts(draw: st.DrawFn, at: datetime) -> Act:
    name = draw(st.sampled_from(["merge_branches", "run_tests", "update_ticket"]))
    state = draw(st.sampled_from(["done", "nothing_to_do", "partly", "failed", "uncertain", "started"]))
    ended_at = later(at, draw(_STEPS)) if state != "started" else None
    error, pattern = draw(complaints) if state in ("failed", "uncertain") else (None, None)
    did = draw(st.lists(st.sampled_from(_DID), unique=True)) if state in ("done", "partly") else []
    if moves := state in ("done", "partly") and draw(st.booleans()):
        did.append(_MOVE)
    attempt = draw(st.integers(1, 2))
    outputs = {"ticket": "PAY-7", "status": "In QA", "changed": did} if name == "update_ticket" else {}
    moves &= name == "update_ticket"
    return Act(name, state, attempt, at, ended_at, outputs, moves, error, pattern)


@st.composite
def _deployments(draw: st.DrawFn, at: datetime) -> Deployed:
    state = draw(st.sampled_from(["succeeded", "succeeded", "failed", "running"]))
    ended_at = later(at, draw(_STEPS)) if state != "running" else None
    return Deployed(draw(st.sampled_from(ENVIRONMENTS)), state, at, ended_at)


@st.composite
def _workspaces(draw: st.DrawFn, at: datetime) -> tuple[datetime, datetime | None]:
    return at, later(at, draw(_STEPS)) if draw(st.booleans()) else None


@st.composite
def pasts(draw: st.DrawFn, since: datetime) -> Past:
    """What became of one execution within two days, or shortly before and after."""
    created = (since + timedelta(minutes=draw(_MINUTES))).astimezone(draw(st.sampled_from(_ZONES)))
    status = draw(st.sampled_from(_STATUSES))
    is_over = status in ("completed", "failed", "cancelled")
    dispatched = later(created, draw(_STEPS)) if status != "waiting" and draw(st.booleans()) else None
    started = (
        later(dispatched or created, draw(_STEPS)) if status != "waiting" and draw(st.booleans()) else None
    )
    completed = later(started or created, draw(_STEPS)) if is_over else None
    attempts: list[tuple[datetime | None, datetime | None]] = []
    at = started or created
    for _ in range(draw(st.integers(0, 3))):
        ended = later(at, draw(_STEPS))
        attempts.append((draw(st.sampled_from([at, at, None])), draw(st.sampled_from([ended, ended, None]))))
        at = ended
    error, pattern = draw(complaints) if status == "failed" and draw(st.booleans()) else (None, None)
    occurred = later(created, -draw(_STEPS))
    return Past(
        status,
        created,
        trigger=draw(st.sampled_from([None, 0, 1, 2, DELETED])),
        occurred_at=occurred,
        observed_at=later(created, -draw(_STEPS)),
        dispatched_at=dispatched,
        started_at=started,
        completed_at=completed,
        reason=draw(st.sampled_from([None, "run_slots", "item_busy"])),
        agents=draw(st.integers(0, 2)),
        attempts=attempts,
        acts=draw(st.lists(_acts(at), max_size=3)),
        error=error,
        pattern=pattern,
        about=draw(st.sampled_from([(0, "PAY-7"), (0, "PAY-7"), (0, "PAY-8"), (1, "PAY-7")])),
        heralds=[later(occurred, -step) for step in draw(st.lists(_STEPS, max_size=2))],
        shares_event=draw(st.sampled_from([False, False, True])),
        deployed=draw(st.lists(_deployments(at), max_size=2)),
        workspace=draw(st.none() | _workspaces(created)),
    )


@st.composite
def histories(draw: st.DrawFn, since: datetime, most: int = 12) -> list[Past]:
    """Executions in the order in which their events were taken in; an event may fire several of them."""
    return _in_order(draw(st.lists(pasts(since), max_size=most)))


@st.composite
def deliveries(draw: st.DrawFn, since: datetime) -> list[Past]:
    """Executions that deploy, at whole hours and about few subjects, so that they often meet each other."""
    few = st.integers(0, 7)
    states = st.sampled_from(["succeeded", "succeeded", "failed"])
    deployed = st.tuples(st.sampled_from(ENVIRONMENTS), states, few)

    def one() -> Past:
        at, waited, took = (timedelta(hours=draw(few)) for _ in range(3))
        begun = since + at + waited
        made = [
            Deployed(environment, state, begun, begun + timedelta(hours=hours))
            for environment, state, hours in draw(st.lists(deployed, min_size=1, max_size=2))
        ]
        did = draw(st.sampled_from([_MOVE, _DID[2], _DID[3], _DID[4]]))
        state = draw(st.sampled_from(["done", "partly", "failed"]))
        moves = did == _MOVE and state != "failed"
        outputs = {"changed": [did] if state != "failed" else []}
        return Past(
            draw(st.sampled_from(["completed", "failed"])),
            since + at,
            trigger=draw(st.sampled_from([0, 1, 0, 1, None])),
            occurred_at=since + at - timedelta(hours=draw(few)),
            dispatched_at=begun,
            started_at=begun,
            completed_at=begun + took,
            attempts=[(begun, begun + took)],
            acts=[Act("update_ticket", state, 1, begun, begun + took, outputs, moves)],
            about=draw(st.sampled_from([(0, "PAY-7"), (0, "PAY-7"), (0, "PAY-8"), (1, "PAY-7")])),
            heralds=[since + at] if draw(st.booleans()) else [],
            shares_event=draw(st.sampled_from([False, False, False, True])),
            deployed=made,
        )

    return _in_order([one() for _ in range(draw(st.integers(2, 16)))])


def _in_order(drawn_ones: Sequence[Past]) -> list[Past]:
    """With ids of their place, and what those share that one event fired."""
    found: list[Past] = []
    fired: Past | None = None
    for place, drawn in enumerate(drawn_ones):
        deployed = [replace(one, id=_id(place, n)) for n, one in enumerate(drawn.deployed)]
        past = replace(drawn, id=_id(place), deployed=deployed)
        if fired is None:
            past = replace(past, shares_event=False)
        elif past.shares_event:
            occurred, observed = fired.occurred_at, fired.observed_at
            past = replace(past, about=fired.about, occurred_at=occurred, observed_at=observed)
        if past.trigger is not None:
            fired = past
        found.append(past)
    return found


def _id(*place: int) -> UUID:
    """The same for the same place, in no order."""
    return uuid5(NAMESPACE_URL, str(place))


@st.composite
def busy_days(draw: st.DrawFn, since: datetime, until: datetime, triggers: int) -> list[Past]:
    """Executions of many triggers; on the last day of all of them, sometimes. Quarters of seconds add up."""

    def one(trigger: int | None, day: datetime) -> Past:
        at = later(day, 250 * draw(st.integers(0, 340_000)))
        started = at if draw(st.sampled_from([True, True, True, False])) else None
        ended = later(at, 250 * draw(st.integers(-4, 4_000)))
        ended = min(ended, day + timedelta(days=1, milliseconds=-250))
        acts = []
        for name in draw(st.lists(st.sampled_from(["merge_branches", "run_tests"]), max_size=3)):
            acted = draw(st.none() | st.integers(-4, 400).map(lambda quarters: later(at, 250 * quarters)))
            acts.append(Act(name, "done" if acted else "started", 1, at, acted))
        status = draw(st.sampled_from(["completed", "failed", "cancelled"]))
        return Past(status, at, trigger, started_at=started, completed_at=ended, acts=acts)

    days = [since + timedelta(days=n) for n in range((until - since).days)]
    few = st.tuples(st.sampled_from([None, 0, 1, DELETED]), st.sampled_from(days) | st.just(days[-1]))
    found = [one(trigger, day) for trigger, day in draw(st.lists(few, max_size=16))]
    if draw(st.booleans()):
        found += [one(trigger, days[-1]) for trigger in range(triggers)]
    return found
