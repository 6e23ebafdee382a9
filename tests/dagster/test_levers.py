"""Each shortcut through the pinned Dagster gives what the long way gives, and can be undone."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.decorators import op_decorator
from dagster._core.definitions.scoped_resources_builder import ScopedResourcesBuilder
from dagster._core.execution import api, context_creation_job
from dagster._core.execution.api import create_execution_plan
from dagster._core.execution.plan import execute_plan
from dagster._core.executor import in_process
from dagster._core.instance.methods.event_methods import EventMethods
from dagster._core.log_manager import DagsterLogManager
from dagster._core.system_config.objects import ResolvedRunConfig
from dagster._utils import interrupts

from dct_pipelines import registry
from dct_pipelines.instance import levers, straight
from dct_pipelines.jobs.build import JobBuilder
from dct_pipelines.jobs.ops import RESOURCE
from tests.support.deployment import *  # noqa: F403
from tests.support.warm import Workshop

pytestmark = pytest.mark.dagster
MODULE = "tests.support.warm_jobs"
PLACES: dict[str, tuple[Any, *tuple[str, ...]]] = {
    "without console": (context_creation_job, "default_system_loggers"),
    "events without logging": (DagsterLogManager, "log_dagster_event"),
    "lines without logging": (DagsterLogManager, "_log"),
    "noise not made": (dg.DagsterEvent, "engine_event", "resource_init_start", "resource_init_success"),
    "one event loop": (context_creation_job, "asyncio"),
    "configuration once": (ResolvedRunConfig, "build"),
    "assets in batches": (EventMethods, "_get_event_batch_size"),
    "without telemetry": (api, "log_dagster_event"),
    "one signal": (interrupts, "_replace_interrupt_signal"),
    "events straight to storage": (EventMethods, "handle_new_event"),
    "event types by value": (dg.DagsterEvent, "event_type"),
    "signatures once": (op_decorator, "get_function_params"),
    "resource types once": (ScopedResourcesBuilder, "build"),
    "logging set up once": (EventMethods, "get_yaml_python_handlers"),
    "needs once": (context_creation_job, "get_required_resource_keys_to_init"),
    "nodes at hand": (dg.JobDefinition, "get_node"),
    "steps without data": (execute_plan, "core_dagster_event_sequence_for_step"),
    "chains in a row": (in_process, "inprocess_execution_iterator"),
}


UNUSUAL = (
    "gives",
    "gives_a_value",
    "tells",
    "fails_on_purpose",
    "again",
    "engine_breaks",
    "patient",
    "hooks",
)


@pytest.fixture
def workshop(project: Path) -> Iterator[Workshop]:
    opened = Workshop(project, MODULE)
    yield opened
    opened.close()


def entries(workshop: Workshop, job_name: str) -> list[tuple[Any, ...]]:
    """All that an entry of a run says, but for times, ids and the stack of an error."""
    run = workshop.do(workshop.make(job_name))
    found = []
    for one in workshop.instance.all_logs(run.run_id):
        event = one.dagster_event
        kind = event.event_type_value if event is not None else None
        message = event.message if event is not None else one.user_message
        untimed = re.sub(r"[\d.]+m?s\b", "soon", message or "")
        given = event.step_output_data if event is not None and event.is_successful_output else None
        found.append((kind, one.level, one.step_key, one.job_name, untimed, given))
    return found


def test_every_lever_is_compared():
    assert PLACES.keys() == levers.LEVERS.keys()


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("job_name", ["three", "breaks", "interrupted"])
def test_a_run_says_the_same_with_and_without_the_lever(workshop: Workshop, name: str, job_name: str):
    expected = entries(workshop, job_name)
    undo = levers.LEVERS[name]()
    try:
        assert entries(workshop, job_name) == expected
    finally:
        undo()


@pytest.mark.parametrize("job_name", UNUSUAL)
def test_whatever_a_step_does_a_run_says_the_same_with_all_levers(workshop: Workshop, job_name: str):
    expected = entries(workshop, job_name)
    undo = levers.pull_all()
    try:
        assert entries(workshop, job_name) == expected
    finally:
        undo()


def test_a_step_that_says_it_returns_nothing_and_returns_something_fails_with_the_lever_too(
    workshop: Workshop,
):
    stock = workshop.do(workshop.make("lies"))
    undo = levers.pull_all()
    try:
        ours = workshop.do(workshop.make("lies"))
    finally:
        undo()
    assert (stock.status, ours.status) == (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.FAILURE)


def test_every_job_of_ours_is_a_chain_that_is_gone_through_in_a_row():
    for job in JobBuilder(registry.actions()).jobs([]):
        bound = job.with_top_level_resources({RESOURCE: dg.ResourceDefinition.none_resource()})
        steps = straight.chain_of(bound, create_execution_plan(bound))
        assert steps is not None
        assert len(steps) == len(job.nodes)


def test_a_plain_line_makes_no_record_of_pythons_logging(workshop: Workshop):
    made: list[object] = []
    stock = logging.getLogRecordFactory()

    def make(*args: Any, **named: Any) -> logging.LogRecord:
        made.append(args)
        return stock(*args, **named)

    undo = levers.pull_all()
    logging.setLogRecordFactory(make)
    try:
        manager = DagsterLogManager.create([], instance=workshop.instance, dagster_run=workshop.make("three"))
        manager.info("%d words", 2)
        assert made == []
        manager.error("with its trace", stack_info=True)
        assert len(made) == 1
    finally:
        logging.setLogRecordFactory(stock)
        undo()


@pytest.mark.parametrize("name", PLACES)
def test_undoing_a_lever_restores_what_was_there(name: str):
    place, *attributes = PLACES[name]
    before = [getattr(place, one) for one in attributes]
    undo = levers.LEVERS[name]()
    assert not any(getattr(place, one) is was for one, was in zip(attributes, before, strict=True))
    undo()
    assert [getattr(place, one) for one in attributes] == before


def test_no_event_is_formatted_for_a_console(workshop: Workshop, capfd: pytest.CaptureFixture[str]):
    undo = levers.without_console()
    try:
        entries(workshop, "three")
    finally:
        undo()
    assert "STEP_SUCCESS" not in capfd.readouterr().err


def test_whoever_configured_a_handler_gets_events_as_before(workshop: Workshop):
    heard: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    @dg.job(executor_def=dg.in_process_executor)
    def one() -> None:
        says()

    undo = levers.events_without_logging()
    try:
        manager = DagsterLogManager.create([], [Handler()], instance=workshop.instance)
        event = dg.DagsterEvent(event_type_value="PIPELINE_START", job_name="one")
        manager._dagster_handler.metadata["run_id"] = workshop.make("three").run_id
        manager._dagster_handler.metadata["job_name"] = "three"
        manager.log_dagster_event(logging.INFO, "it began", event)
    finally:
        undo()
    assert any("it began" in line for line in heard)


def test_a_line_says_what_was_formatted_into_it_and_the_trace_of_an_error(workshop: Workshop):
    run = workshop.make("three")
    manager = DagsterLogManager.create([], instance=workshop.instance, dagster_run=run)

    def says_it() -> list[tuple[Any, ...]]:
        manager.info("%s of %d", "one", 2)
        manager.info("%(a)s is said", {"a": 1})
        manager.warning({"a": "mapping"})
        try:
            raise ValueError("on purpose")
        except ValueError:
            manager.exception("it broke")
        found = [
            (one.level, one.user_message, one.error_info is None)
            for one in workshop.instance.all_logs(run.run_id)
        ]
        return found[-4:]

    expected = says_it()
    undo = levers.lines_without_logging()
    try:
        assert says_it() == expected
    finally:
        undo()


def test_whoever_subscribed_to_a_run_hears_every_event_as_before(workshop: Workshop):
    heard: list[str] = []
    run = workshop.make("three")
    workshop.instance.add_event_listener(run.run_id, lambda entry: heard.append(entry.message))
    undo = levers.events_straight_to_storage()
    try:
        workshop.do(run)
    finally:
        undo()
    assert "said by a step" in heard


@dg.op
def says(context) -> None:
    context.log.info("said")
