"""Retention: what is old goes, what something live refers to stays, and nobody waits for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text, update

from dct_pipelines.domain.retention import RetentionPolicy
from dct_pipelines.engine.explain import Explainer
from dct_pipelines.engine.metrics import MetricsService
from dct_pipelines.engine.months import Months
from dct_pipelines.engine.pacing import Pace
from dct_pipelines.engine.retention import Retention
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.schema import verify
from tests.fakes.ports import NOON
from tests.support.history import History
from tests.support.stage import QUOTAS

DAYS = 90
OLD = NOON - timedelta(days=200)
RECENT = NOON - timedelta(days=5)


@pytest.fixture
def history(database: Database) -> History:
    return History.of(database)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def retention(history: History, pauses: list[float]) -> Retention:
    pace = Pace(pause=pauses.append, fewest=2)
    return Retention(history.database, history.world.clock, RetentionPolicy(DAYS, 2 * DAYS), pace)


def test_an_execution_that_ended_long_ago_goes_with_all_that_belongs_to_it(history, retention):
    old = [history.execution(None, OLD, OLD) for _ in range(5)]
    kept = history.execution(None, OLD, RECENT)
    environment = history.environment()
    history.deployment(old[0], environment, OLD)
    current = history.deployment(kept, environment, RECENT)
    swept = retention.executions()
    assert swept.counts == {
        "trigger_executions": 5,
        "execution_attempts": 5,
        "action_results": 5,
        "deployments": 1,
    }
    assert history.ids(tables.trigger_executions) == {kept}
    assert history.ids(tables.execution_attempts, "execution_id") == {kept}
    assert history.ids(tables.deployments) == {current}


@pytest.mark.parametrize("step", ["executions", "traces"])
def test_how_far_back_everything_is_still_there_is_known_after_the_setting_was_raised(history, step):
    def swept(days: int, *, dry_run: bool = False) -> datetime | None:
        retention = Retention(history.database, history.world.clock, RetentionPolicy(days, 2 * DAYS))
        getattr(retention, step)(dry_run=dry_run)
        return MetricsService(history.database, QUOTAS, 300).deleted_before()

    assert swept(30, dry_run=True) is None
    assert swept(30) == swept(DAYS) == NOON - timedelta(days=30)
    history.world.clock.advance(days=3)
    assert swept(30) == NOON - timedelta(days=27)


def test_an_execution_that_something_live_refers_to_stays(history, retention):
    waits = history.execution(None, OLD, None)
    made_workspace = history.execution(None, OLD, OLD)
    history.workspace(made_workspace)
    archived = history.execution(None, OLD, OLD)
    history.workspace(archived, state="archived")
    holds_slot = history.execution(None, OLD, OLD)
    history.put(
        tables.slots,
        kind="agent",
        holder=uuid4(),
        agent_class="high",
        execution_id=holds_slot,
        heartbeat_at=NOON,
    )
    runs_in_qa = history.execution(None, OLD, OLD)
    history.deployment(runs_in_qa, history.environment(), OLD)
    retention.executions()
    assert history.ids(tables.trigger_executions) == {waits, made_workspace, holds_slot, runs_in_qa}


def test_an_execution_that_somebody_holds_is_left_for_the_next_time(history, retention):
    held, free = history.execution(None, OLD, OLD), history.execution(None, OLD, OLD)
    row = tables.trigger_executions
    with history.database.begin() as connection:
        connection.execute(select(row.c.id).where(row.c.id == held).with_for_update())
        retention.executions()
        assert history.ids(row) == {held}
    assert free not in history.ids(row)
    retention.executions()
    assert history.ids(row) == set()


def test_batches_are_small_and_followed_by_pauses(history, retention, pauses):
    for _ in range(7):
        history.put(tables.activity, kind="x", at=OLD)
    assert retention.traces().counts == {"activity": 7}
    assert len(pauses) >= 2


def test_a_dry_run_counts_and_changes_nothing(history, retention):
    event = history.event(OLD)
    history.decision(event, OLD, history.execution(event, OLD, OLD))
    history.put(tables.activity, kind="x", at=OLD)
    assert retention.executions(dry_run=True).counts == {"trigger_executions": 1}
    assert retention.payloads(dry_run=True).counts["events"] == 0  # an execution still refers to it
    assert +retention.traces(dry_run=True).counts == {"activity": 1}
    assert history.ids(tables.events) == {event}
    assert history.ids(tables.trigger_executions) != set()


def test_events_and_decisions_go_with_their_month_and_stay_with_their_execution(history, retention):
    gone = history.event(OLD)
    history.decision(gone, OLD)
    stays = history.event(OLD)
    history.decision(stays, OLD, history.execution(stays, OLD, None))
    month = retention.policy.month_cutoff(NOON)
    last, first = history.event(month - timedelta(seconds=1)), history.event(month)
    history.decision(last, month)
    swept = retention.payloads()
    assert history.ids(tables.events) == {stays, first}
    assert history.ids(tables.decisions, "event_id") == {stays, last}  # decided in a month that is kept
    assert swept.counts == {"events": 2, "decisions": 1}


def test_a_kept_event_is_explained_as_before(history, retention):
    event = history.event(OLD)
    execution = history.execution(event, OLD, None)
    history.decision(event, OLD, execution)
    world = history.world
    explainer = Explainer(world.database, world.clock, world.decider)
    before = explainer.event(event).events
    retention.executions()
    retention.payloads()
    retention.snapshots()
    assert explainer.event(event).events == before


def test_an_event_is_explained_after_its_execution_has_gone(history, retention):
    seen = retention.policy.month_cutoff(NOON)
    event = history.event(seen)
    history.decision(event, seen, history.execution(event, seen, seen))
    assert retention.executions().counts["trigger_executions"] == 1
    world = history.world
    [story] = Explainer(world.database, world.clock, world.decider).event(event).events
    assert "fired" in story.decisions[0].in_words()
    assert story.decisions[0].execution is None


def test_a_state_stays_as_long_as_an_event_that_saw_it(history, retention):
    seqs = {}
    for name, at, waits in (
        ("old", OLD, False),
        ("held", OLD, True),
        ("old too", OLD, False),
        ("new", RECENT, False),
    ):
        event = history.event(at)
        seqs[name] = next(iter(_seqs(history, event)))
        if waits:
            history.execution(event, at, None)
    retention.payloads()
    item = {"item_id": history.world.item_id, "state": {}, "observed_at": OLD}
    spans = [("old", "held"), ("held", "old too"), ("old too", "new"), ("old too", None), ("new", None)]
    for place, (begin, end) in enumerate(spans):
        until = seqs[end] if end else (seqs["new"] + 1 if begin == "old too" else None)
        history.put(tables.snapshots, **item, subject=str(place), from_seq=seqs[begin], to_seq=until)
    assert retention.snapshots().counts == {"snapshots": 2}
    assert history.ids(tables.snapshots, "subject") == {"1", "3", "4"}


def test_a_key_outlives_its_event_so_that_a_replay_does_not_fire_again(history, retention):
    world = history.world
    world.clock.time = NOON - timedelta(days=150)
    page = world.page(world.assessed("feature/x"))
    assert world.intake.ingest(world.connection_id, page).decided.fired == 1
    with history.database.begin() as connection:
        ended = {"status": "completed", "completed_at": world.clock.now()}
        connection.execute(update(tables.trigger_executions).values(**ended))
        connection.execute(update(tables.decisions).values(decided_at=world.clock.now()))
        connection.execute(update(tables.event_keys).values(created_at=world.clock.now()))
        connection.execute(update(tables.trigger_firings).values(created_at=world.clock.now()))
    world.clock.time = NOON
    for sweep in (retention.executions, retention.payloads, retention.snapshots, retention.keys):
        sweep()
    assert world.rows(tables.events) == world.rows(tables.trigger_executions) == []
    again = world.intake.ingest(world.connection_id, page)
    assert (again.events, again.repeats, again.decided.fired) == ((), 1, 0)
    moved = world.page(world.draft("feature/x", "the target moved", page.events[0].payload))
    later = world.intake.ingest(world.connection_id, moved)
    assert (len(later.events), later.decided.fired, later.decided.deduplicated) == (1, 0, 1)


def test_keys_go_in_the_end_but_not_before_what_still_needs_them(history, retention):
    long_ago = NOON - timedelta(days=2 * DAYS + 1)
    gone, stays = history.event(long_ago), history.event(long_ago)
    history.execution(stays, long_ago, None)
    used, unused = uuid4(), uuid4()
    for once in (used, unused):
        firing = {"trigger_id": history.trigger_id, "once_key": str(once)}
        history.put(tables.trigger_firings, **firing, execution_id=uuid4(), created_at=long_ago)
    history.decision(used, RECENT)
    retention.payloads()
    retention.keys()
    assert gone not in history.ids(tables.events)
    assert history.ids(tables.event_keys, "event_id") == {stays}
    assert history.ids(tables.trigger_firings, "once_key") == {str(used)}


def test_the_check_of_a_commit_that_a_branch_stands_at_stays(history, retention):
    item = history.world.item_id
    state = {"kind": "branch", "branch": "feature/x", "head": "a" * 40}
    history.put(
        tables.snapshots,
        item_id=item,
        subject="refs/heads/feature/x",
        from_seq=1,
        state=state,
        observed_at=OLD,
    )
    for commit in ("a" * 40, "b" * 40):
        check = {"repository_item_id": item, "commit": commit, "name": "unit", "state": "success"}
        history.put(tables.checks, **check, reported_at=OLD)
    retention.traces()
    assert history.ids(tables.checks, "commit") == {"a" * 40}


def test_traces_go_by_their_own_age(history, retention):
    connection_id, item_id = history.world.connection_id, history.world.item_id
    waits = history.execution(None, OLD, None)
    for place, at in enumerate((OLD, RECENT)):
        letter = {"connection_id": connection_id, "raw": "?", "why": "no JSON", "key": str(place)}
        history.put(tables.dead_letters, **letter, last_received_at=at)
        history.put(tables.activity, kind=str(place), at=at)
        write = {"item_id": item_id, "chain": [], "created_at": at}
        history.put(tables.own_writes, **write, external_id=str(place), execution_id=uuid4())
    history.put(tables.own_writes, **write | {"created_at": OLD}, external_id="2", execution_id=waits)
    user = uuid4()
    history.put(tables.users, id=user, name="somebody", role="admin")
    for place, at in enumerate((NOON - timedelta(seconds=1), NOON + timedelta(days=1))):
        history.put(tables.sessions, user_id=user, token_sha256=str(place), expires_at=at)
    assert retention.traces().counts == {"activity": 1, "dead_letters": 1, "own_writes": 1, "sessions": 1}
    assert history.ids(tables.own_writes, "external_id") == {"1", "2"}
    assert history.ids(tables.sessions, "token_sha256") == {"1"}


def test_the_audit_log_is_kept(history, retention):
    history.put(
        tables.audit_log, at=OLD, actor="local", verb="apply", object_kind="trigger", object_name="to-qa"
    )
    kept = history.ids(tables.audit_log)
    retention.traces()
    assert len(kept) == 1
    assert kept < history.ids(tables.audit_log), "with the note of what goes"


def test_every_reference_of_another_table_is_found_by_an_index(database: Database) -> None:
    """Or each deletion of a row would read the whole other table."""
    statement = """
        SELECT c.conrelid::regclass::text || ' ' || c.conname FROM pg_constraint c
        WHERE c.contype = 'f' AND c.connamespace = 'dct'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_index i WHERE i.indrelid = c.conrelid
            AND (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey
        ) AND c.confrelid IN ('dct.trigger_executions'::regclass, 'dct.execution_attempts'::regclass)
    """
    with database.connect() as connection:
        assert connection.scalars(text(statement)).all() == []


def test_the_tables_are_those_of_the_release_afterwards(history, retention):
    for at in (OLD, NOON - timedelta(days=150), datetime.now(UTC)):
        history.event(at)
    Months(history.database, history.world.clock).make()
    retention.payloads()
    assert verify(history.database) == []


def _seqs(history: History, event_id: object) -> list[int]:
    with history.database.connect() as connection:
        return list(connection.scalars(select(tables.events.c.seq).where(tables.events.c.id == event_id)))
