"""Jobs on a real instance and a real database: by hand, dispatched, refused, and re-executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import dagster as dg
import pytest
from sqlalchemy import select, update

from dct_pipelines.bootstrap import App
from dct_pipelines.domain.shapes import CLAIM, CLOSE, job_name, step_names
from dct_pipelines.domain.words import Kind
from dct_pipelines.store import tables
from dct_pipelines.store.definitions.shelves import SHELVES
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import job_named, outbox_config, run_job

pytestmark = pytest.mark.dagster
TWICE = "notify_users__notify_users_2"


def step(*params: dict[str, Any]) -> dict[str, Any]:
    names = step_names(("notify_users",) * len(params))
    return {"ops": {name: {"config": {"params": each}} for name, each in zip(names, params, strict=True)}}


def executions(app: App) -> list[Any]:
    with app.database.connect() as connection:
        return list(connection.execute(select(tables.trigger_executions)))


def attempts(app: App, execution_id: UUID) -> list[str]:
    rows = tables.execution_attempts
    with app.database.connect() as connection:
        wanted = select(rows.c.state).where(rows.c.execution_id == execution_id).order_by(rows.c.attempt)
        return list(connection.scalars(wanted))


def add_shape(app: App, *shape: str) -> None:
    with app.database.begin() as connection:
        connection.execute(tables.shapes.insert().values(job_name=job_name(shape), actions=list(shape)))


def messages(project: Path) -> list[Path]:
    return sorted((project / ".dct/outbox").glob("*.json"))


def test_a_job_claims_acts_in_order_and_closes(project: Path):
    job = job_named("merge_branches__deploy_environment")
    order = [node.name for node in job.nodes_in_topological_order]
    assert order == [CLAIM, "merge_branches", "deploy_environment", CLOSE]
    assert all(
        node.definition.name == f"perform_{node.name}" for node in job.nodes_in_topological_order[1:-1]
    )


def test_a_run_by_hand_makes_a_manual_execution(app: App, instance: dg.DagsterInstance, project: Path):
    result = run_job(instance, "notify_users", step(outbox_config()))
    assert result.success
    (execution,) = executions(app)
    assert (execution.status, execution.triggered_by) == ("completed", "manual")
    assert execution.dagster_run_id == result.run_id
    assert len(messages(project)) == 1


def test_a_step_shows_what_its_action_did(app: App, instance: dg.DagsterInstance):
    result = run_job(instance, "notify_users", step(outbox_config()))
    (output,) = [event for event in result.events_for_node("notify_users") if event.is_successful_output]
    shown = output.step_output_data.metadata
    assert shown["state"].value == "done"
    assert "team" in shown["summary"].value


def test_no_step_writes_through_an_io_manager(app: App, instance: dg.DagsterInstance, project: Path):
    result = run_job(instance, "notify_users", step(outbox_config()))
    assert not [event for event in result.all_events if event.is_handled_output]
    assert not (project / "storage").exists()


def test_a_run_by_hand_without_its_parameters_says_where_they_belong(app: App, instance: dg.DagsterInstance):
    result = run_job(instance, "notify_users")
    failure = result.failure_data_for_node(CLAIM)
    assert "ops.notify_users.config.params.channels: Field required" in failure.user_failure_data.description
    assert executions(app) == []


def test_a_failed_action_fails_the_run_with_its_message_and_stops_what_follows(
    app: App, instance: dg.DagsterInstance, project: Path
):
    add_shape(app, "notify_users", "notify_users")
    result = run_job(instance, TWICE, step(outbox_config("no-such-channel"), outbox_config()))
    failure = result.failure_data_for_node("notify_users").user_failure_data
    assert "no-such-channel" in failure.description
    assert not failure.metadata["may pass by itself"].value
    assert [execution.status for execution in executions(app)] == ["failed"]
    assert messages(project) == []


def test_a_reexecution_starts_at_the_failed_action_and_repeats_nothing(
    app: App, instance: dg.DagsterInstance, project: Path
):
    add_shape(app, "notify_users", "notify_users")
    failed = run_job(instance, TWICE, step(outbox_config(), outbox_config("later")))
    assert not failed.success
    (sent,) = messages(project)
    written = sent.stat().st_mtime_ns
    define_outbox(app, "later")
    again = run_job(instance, TWICE, again_from=failed.run_id)
    assert again.success
    assert [event.step_key for event in again.get_step_success_events()] == ["notify_users_2", CLOSE]
    (execution,) = executions(app)
    assert (execution.status, execution.attempt) == ("completed", 2)
    assert attempts(app, execution.id) == ["failed", "succeeded"]
    assert len(messages(project)) == 2
    assert sent.stat().st_mtime_ns == written


def define_outbox(app: App, name: str) -> None:
    with app.database.begin() as connection:
        SHELVES[Kind.CHANNEL].insert(connection, {"type": "outbox", "name": name}, "local")


def dispatched(app: App, channel: str = "outbox") -> tuple[UUID, dict[str, str]]:
    """An execution that waits, handed over as a sensor does it: its id and the run's tags."""
    actions = [{"type": "notify_users", "name": "tell", "config": outbox_config(channel)}]
    with app.database.begin() as connection:
        connection.execute(
            tables.trigger_executions.insert().values(
                triggered_by="manual",
                created_by="local",
                job_name="notify_users",
                actions=actions,
                resource_limits={},
                context_snapshot={},
            )
        )
    (order,) = app.dispatcher.dispatch(frozenset({"notify_users"}), 10).orders
    return order.execution_id, dict(order.tags)


def test_a_dispatched_execution_is_carried_out_without_any_config(
    app: App, instance: dg.DagsterInstance, project: Path
):
    execution_id, tags = dispatched(app)
    assert run_job(instance, "notify_users", tags=tags).success
    assert [(row.id, row.status) for row in executions(app)] == [(execution_id, "completed")]
    assert len(messages(project)) == 1


def test_a_reexecution_of_a_dispatched_run_is_a_new_attempt_although_it_copies_the_tags(
    app: App, instance: dg.DagsterInstance, project: Path
):
    execution_id, tags = dispatched(app, "later")
    failed = run_job(instance, "notify_users", tags=tags)
    define_outbox(app, "later")
    again = run_job(instance, "notify_users", tags=tags, again_from=failed.run_id)
    assert again.success
    run = instance.get_run_by_id(again.run_id)
    assert run is not None
    assert run.tags["dct/attempt"] == "1"
    assert attempts(app, execution_id) == ["failed", "succeeded"]
    assert len(messages(project)) == 1


def test_a_second_run_for_a_finished_execution_ends_without_doing_anything(
    app: App, instance: dg.DagsterInstance, project: Path
):
    execution_id, tags = dispatched(app)
    run_job(instance, "notify_users", tags=tags)
    again = run_job(instance, "notify_users", tags=tags)
    assert again.success
    shown = again.events_for_node("notify_users")
    (output,) = [event for event in shown if event.is_successful_output]
    assert output.step_output_data.metadata["state"].value == "skipped"
    assert attempts(app, execution_id) == ["succeeded"]
    assert len(messages(project)) == 1


def test_an_older_attempt_is_a_no_op(app: App, instance: dg.DagsterInstance, project: Path):
    execution_id, tags = dispatched(app)
    with app.database.begin() as connection:
        rows = tables.trigger_executions
        connection.execute(update(rows).where(rows.c.id == execution_id).values(attempt=2))
        connection.execute(tables.execution_attempts.insert().values(execution_id=execution_id, attempt=2))
    assert run_job(instance, "notify_users", tags=tags).success
    assert [row.status for row in executions(app)] == ["dispatched"]
    assert messages(project) == []
