"""A restored deployment starts nothing, holds what may have been done already, and goes on when told to."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, update

from dct_pipelines.domain.alerts import AlertMessage, MessageKind
from dct_pipelines.domain.errors import InvalidInput, NotFound, NotPermitted, StillUncertain
from dct_pipelines.domain.repository.listen import EVENT_KINDS
from dct_pipelines.domain.restored import UNDATED, Restored
from dct_pipelines.domain.words import WaitReason
from dct_pipelines.engine.execute import RunIdentity
from dct_pipelines.engine.idle import IdleReport, IdleWorkspaces
from dct_pipelines.engine.restored import RestoredService
from dct_pipelines.engine.waiting import WaitingService
from dct_pipelines.store import alert_outbox, restoring, tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions import people
from tests.fakes.workspaces import FakeWorkspaceFiles
from tests.integration.test_dispatch import JOBS, dispatcher, fire
from tests.support.history import History
from tests.support.stage import QUOTAS, Stage
from tests.support.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def world(database: Database) -> World:
    made = World(database)
    made.trigger("to-qa")
    return made


@pytest.fixture
def decide(world: World) -> RestoredService:
    return RestoredService(world.database)


def restore(world: World) -> int:
    """What a restore does at its end, with the deployment's own content."""
    now = world.clock.now()
    with world.database.begin() as connection:
        return restoring.begin(connection, Restored(backup_id=uuid4(), as_of=now, at=now))


def read(world: World) -> None:
    """Every connection is read, to its end."""
    world.clock.advance(seconds=1)
    now = world.clock.now()
    world.intake.ingest(world.connection_id, world.page())
    rows = tables.connections
    with world.database.begin() as connection:
        connection.execute(update(rows).values(last_ok_at=now, next_due_at=now + timedelta(seconds=5)))


def executions(world: World) -> dict[str, tuple[str, str | None]]:
    """By branch, how each execution stands and why it waits."""
    rows = world.rows(tables.trigger_executions)
    return {row["subject"].removeprefix("refs/heads/"): (row["status"], row["wait_reason"]) for row in rows}


def deploys_for(world: World, execution_id: UUID) -> None:
    """A deployment that is under way."""
    environment, now = uuid4(), world.clock.now()
    made = {"id": environment, "name": "qa", "branch": "qa", "created_by": "local"}
    running = {"environment_id": environment, "environment": "qa", "commit": "c", "branch": "qa"}
    with world.database.begin() as connection:
        connection.execute(insert(tables.environments).values(made))
        state = {"state": "running", "execution_id": execution_id, "started_at": now}
        connection.execute(insert(tables.deployments).values(running | state))


def orders(world: World) -> int:
    return len(dispatcher(world).dispatch(JOBS, 10).orders)


def test_what_was_open_is_held_and_what_was_over_is_not(world: World, decide: RestoredService):
    fire(world, "feature/done", "feature/at-work", "feature/waits")
    dispatcher(world).dispatch(JOBS, 10)
    done = [row["id"] for row in world.rows(tables.trigger_executions) if row["subject"].endswith("done")]
    rows = tables.trigger_executions
    with world.database.begin() as connection:
        connection.execute(update(rows).where(rows.c.id.in_(done)).values(status="completed"))
    fire(world, "feature/late")
    deploys_for(world, done[0])
    assert restore(world) == 3
    assert executions(world) == {
        "feature/done": ("completed", None),
        "feature/at-work": ("waiting", "restored"),
        "feature/waits": ("waiting", "restored"),
        "feature/late": ("waiting", "restored"),
    }
    assert {row["state"] for row in world.rows(tables.execution_attempts)} == {"lost"}
    assert {row["state"] for row in world.rows(tables.deployments)} == {"failed"}
    whys = {str(one.about).rpartition("feature/")[2]: one.why for one in decide.report().uncertain}
    assert "it was dispatched at the time of the backup" in whys["at-work"]
    assert "it was waiting at the time of the backup" in whys["late"]


def test_git_keeps_no_time_of_its_changes_so_that_it_is_said_when_they_were_seen(
    world: World, decide: RestoredService
):
    restore(world)
    fire(world, "feature/x")
    [held] = decide.report().uncertain
    assert (held.happened_at, held.seen_at) == (None, world.clock.now())
    assert UNDATED == EVENT_KINDS


def test_what_fires_by_what_changed_since_is_held_too_and_says_so(world: World, decide: RestoredService):
    restore(world)
    fire(world, "feature/x")
    assert orders(world) == 0
    assert executions(world) == {"feature/x": ("waiting", "restored")}
    assert "the original may have done it already" in decide.report().uncertain[0].why
    assert [row["wait_reason"] for row in world.rows(tables.decisions)] == ["restored"]
    service = WaitingService(world.database, world.clock, QUOTAS, 300, lambda: JOBS)
    [told] = service.by_reason()
    assert (told.reason, told.count, told.until) == (WaitReason.RESTORED, 1, None)


def test_what_is_held_stays_so_through_debounce_and_coalescing(world: World):
    world.trigger("calm", limits={"debounce_ms": 1000, "coalesce": "latest"})
    restore(world)
    fire(world, "feature/x")
    world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x", "c" * 40)))
    world.clock.advance(hours=1)
    assert orders(world) == 0
    states = [(row["status"], row["wait_reason"]) for row in world.rows(tables.trigger_executions)]
    assert sorted(set(states), key=str) == [("cancelled", None), ("waiting", "restored")]


def test_nothing_is_started_by_hand_either(database: Database):
    stage = Stage(database)
    try:
        failed, run = stage.claimed()
        stage.set(failed, status="failed")
        with database.begin() as connection:
            restoring.begin(
                connection, Restored(backup_id=uuid4(), as_of=stage.clock.now(), at=stage.clock.now())
            )
        report = stage.executor.claim(stage.run(failed, 1, parent=run.run_id))
        assert (report.is_noop, "dct restore finish" in str(report)) == (True, True)
        new = RunIdentity(str(uuid4()), "check", None, None, None)
        with pytest.raises(InvalidInput, match="dct restore finish"):
            stage.executor.claim(new, [{"type": "check"}])
    finally:
        stage.stop()


def test_released_executions_start_when_the_restore_is_finished_and_not_before(
    world: World, decide: RestoredService
):
    fire(world, "feature/again", "feature/done")
    restore(world)
    [again, done] = [one.id for one in decide.report().uncertain]
    assert decide.release([str(again)[:8]], "local") == [again]
    assert orders(world) == 0
    assert executions(world)["feature/again"] == ("waiting", "restored")
    assert decide.skip([str(done)], "local") == [done]
    read(world)
    decide.finish("local")
    assert orders(world) == 1
    states = {branch: state for branch, (state, _) in executions(world).items()}
    assert states == {"feature/again": "dispatched", "feature/done": "cancelled"}
    message = next(row for row in world.rows(tables.trigger_executions) if row["id"] == done)["error_message"]
    assert "skipped after a restore by local" in message


def test_nobody_is_told_of_the_incidents_of_the_original(world: World):
    now = world.clock.now()
    about = {"rule": "connection", "text": "down", "figures": {}, "first_seen_at": now, "last_seen_at": now}
    states = [{"subject": state, "state": state} for state in ("suspected", "open", "acknowledged")]
    message = AlertMessage(
        id=uuid4(), kind=MessageKind.OPENED, destination="log", subject="s", text="t", at=now
    )
    with world.database.begin() as connection:
        connection.execute(insert(tables.incidents), [about | one for one in states])
        alert_outbox.put(connection, [(message, [])])
    restore(world)
    left = {row["subject"]: row["state"] for row in world.rows(tables.incidents)}
    assert left == {"open": "resolved", "acknowledged": "resolved"}
    [row] = world.rows(tables.alert_messages)
    assert (row["sent_at"], row["last_error"]) == (None, restoring.LOST)
    with world.database.begin() as connection:
        assert alert_outbox.channels_due(connection, now + timedelta(hours=1)) == []


def test_idle_workspaces_are_neither_told_of_nor_archived_while_it_is_paused(database: Database):
    history, files = History.of(database), FakeWorkspaceFiles()
    long_ago = history.world.clock.now() - timedelta(days=20)
    execution = history.execution(None, long_ago, long_ago)
    files.touched[history.workspace(execution, title="look", updated_at=long_ago)] = long_ago
    idle = IdleWorkspaces(database, history.world.clock, files, idle_days=14, notice_days=3)
    restore(history.world)
    assert (idle.look(), idle.look(dry_run=True)) == (IdleReport(), IdleReport())
    RestoredService(database).finish("local", unread_too=True)
    assert idle.look() == IdleReport(told=("look",))


def test_what_fires_after_the_end_is_as_always(world: World, decide: RestoredService):
    restore(world)
    read(world)
    decide.finish("local")
    fire(world, "feature/x")
    assert orders(world) == 1
    with pytest.raises(InvalidInput, match="not paused by a restore"):
        decide.finish("local")


def test_it_is_not_finished_while_something_is_held(world: World, decide: RestoredService):
    fire(world, "feature/x")
    restore(world)
    read(world)
    with pytest.raises(StillUncertain, match="1 execution is held"):
        decide.finish("local", unread_too=True)
    decide.release(None, "local")
    decide.finish("local")
    assert orders(world) == 1


def test_it_is_not_finished_before_every_connection_was_read(world: World, decide: RestoredService):
    restore(world)
    assert [one.connection for one in decide.report().unread] == ["here"]
    with pytest.raises(StillUncertain, match=r"here \(1 item\)"):
        decide.finish("local")
    with world.database.connect() as connection:
        assert restoring.is_paused(connection)
    read(world)
    assert decide.report().unread == ()
    decide.finish("local")


def test_a_connection_that_is_not_read_can_be_left_out(world: World, decide: RestoredService):
    restore(world)
    decide.finish("local", unread_too=True)
    [row] = world.rows(tables.audit_log)
    assert (row["verb"], row["detail"]["unread"]) == ("finish_restore", ["here"])


def test_only_operators_decide_and_each_decision_is_audited(world: World, decide: RestoredService):
    with world.database.begin() as connection:
        people.save(connection, "ann", "developer", None)
        people.save(connection, "olga", "operator", None)
    fire(world, "feature/x", "feature/y")
    restore(world)
    for refused in (decide.release, decide.skip):
        with pytest.raises(NotPermitted, match="ask an operator"):
            refused(None, "ann")
    with pytest.raises(NotPermitted, match="ask an operator"):
        decide.finish("ann")
    [first, second] = [one.id for one in decide.report().uncertain]
    decide.skip([str(first)], "olga")
    decide.release(None, "olga")
    verbs = [(row["actor"], row["verb"], row["detail"]["ids"]) for row in world.rows(tables.audit_log)]
    assert verbs == [("olga", "skip", [str(first)]), ("olga", "release", [str(second)])]


def test_an_id_that_is_not_held_is_refused(world: World, decide: RestoredService):
    fire(world, "feature/x")
    [row] = world.rows(tables.trigger_executions)
    with pytest.raises(NotFound, match="0 executions that are held have"):
        decide.release([str(row["id"])], "local")


def test_a_backup_of_a_restored_deployment_keeps_what_is_held(world: World, decide: RestoredService):
    fire(world, "feature/x")
    assert (restore(world), restore(world)) == (1, 0)
    assert len(decide.report().uncertain) == 1


def test_a_skipped_one_can_be_taken_up_again_after_all(world: World, decide: RestoredService):
    fire(world, "feature/x")
    restore(world)
    [skipped] = decide.skip(None, "local")
    stage = Stage(world.database)
    stage.executor.retry(skipped, "local")
    stage.stop()
    assert orders(world) == 0
    read(world)
    decide.finish("local")
    assert orders(world) == 1
