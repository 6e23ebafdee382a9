"""Each shortcut through the pinned Dagster gives what the long way gives, and can be undone."""

from __future__ import annotations

import gc
import logging
import re
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.decorators import op_decorator
from dagster._core.definitions.scoped_resources_builder import ScopedResourcesBuilder
from dagster._core.execution import api, context_creation_job
from dagster._core.execution.plan import execute_plan
from dagster._core.executor import in_process
from dagster._core.instance.methods.event_methods import EventMethods
from dagster._core.log_manager import DagsterLogManager
from dagster._core.system_config.objects import ResolvedRunConfig
from dagster._utils import interrupts

from dct_pipelines.instance import levers
from tests.support.deployment import *  # noqa: F403
from tests.support.warm import Workshop

pytestmark = pytest.mark.dagster
MODULE = "tests.support.warm_jobs"
PLACES: dict[str, tuple[Any, str]] = {
    "without console": (context_creation_job, "default_system_loggers"),
    "events without logging": (DagsterLogManager, "log_dagster_event"),
    "lines without logging": (DagsterLogManager, "_log"),
    "noise not made": (dg.DagsterEvent, "engine_event"),
    "one event loop": (context_creation_job, "asyncio"),
    "configuration once": (ResolvedRunConfig, "build"),
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


@pytest.mark.parametrize("name", ["steps without data", "chains in a row"])
@pytest.mark.parametrize("job_name", ["gives", "gives_a_value", "tells", "fails_on_purpose", "again"])
def test_a_step_that_does_more_than_nothing_says_so_as_ever(workshop: Workshop, name: str, job_name: str):
    expected = entries(workshop, job_name)
    undo = levers.LEVERS[name]()
    try:
        assert entries(workshop, job_name) == expected
    finally:
        undo()


@pytest.mark.parametrize("name", PLACES)
def test_undoing_a_lever_restores_what_was_there(name: str):
    place, attribute = PLACES[name]
    before = getattr(place, attribute)
    undo = levers.LEVERS[name]()
    assert getattr(place, attribute) is not before
    undo()
    assert getattr(place, attribute) is before


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
        manager.warning({"a": "mapping"})
        try:
            raise ValueError("on purpose")
        except ValueError:
            manager.exception("it broke")
        found = [
            (one.level, one.user_message, one.error_info is None)
            for one in workshop.instance.all_logs(run.run_id)
        ]
        return found[-3:]

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


@dg.dagster_type_loader(int, required_resource_keys={"source"})
def from_configuration(_context, value: int) -> int:
    return value


def anything(_context, _value) -> bool:
    return True


LOADED = dg.DagsterType(anything, "Loaded", loader=from_configuration)


@dg.op(ins={"value": dg.In(LOADED, default_value=0)})
def takes(_context, value) -> None:
    """Needs a resource only where its input comes from the configuration."""


@dg.resource
def opened(_context):
    yield "open"


@dg.op(required_resource_keys={"opened"})
def uses(context) -> None:
    assert context.resources.opened == "open"


@dg.success_hook(required_resource_keys={"source"})
def hooked(context) -> None:
    assert context.resources.source == "s"


@dg.job(resource_defs={"source": dg.ResourceDefinition.hardcoded_resource("s")})
def loads() -> None:
    takes()


@dg.job(
    resource_defs={"source": dg.ResourceDefinition.hardcoded_resource("s"), "opened": opened},
    hooks={hooked},
)
def opens() -> None:
    uses()


def test_a_job_whose_needs_depend_on_its_configuration_gets_what_it_needs_each_time():
    undo = levers.pull_all()
    try:
        for value in ({}, {"ops": {"takes": {"inputs": {"value": 1}}}}, {}):
            assert loads.execute_in_process(value).success
    finally:
        undo()


def test_hooks_and_resources_that_are_closed_again_work_with_every_lever():
    undo = levers.pull_all()
    try:
        found = [opens.execute_in_process() for _ in range(2)]
    finally:
        undo()
    for one in found:
        assert [event.event_type_value for event in one.all_events].count("HOOK_COMPLETED") == 1


def test_resources_that_a_step_does_not_need_are_not_shown_to_it_and_others_are_as_they_were():
    there = ScopedResourcesBuilder({"one": 1, "two": 2})
    expected = there.build({"one", "none"})
    undo = levers.LEVERS["resource types once"]()
    try:
        for number in (1, 3):
            found = ScopedResourcesBuilder({"one": number, "two": 2}).build({"one", "none"})
            assert found.one == number
            assert found.original_resource_dict == {"one": number}
        assert expected.original_resource_dict == {"one": 1}
        with pytest.raises(dg.DagsterUnknownResourceError):
            _ = found.two
        assert len(there.build(None)) == 0
    finally:
        undo()


@dg.op
def says(context) -> None:
    context.log.info("said")


def test_the_configuration_of_a_job_that_nobody_has_any_more_is_forgotten():
    undo = levers.configuration_once()
    try:
        job = dg.GraphDefinition(name="passing", node_defs=[]).to_job()
        known = ResolvedRunConfig.build(job)
        assert ResolvedRunConfig.build(job) is known
        gone = weakref.ref(job)
        del job, known
        gc.collect()
        assert gone() is None
    finally:
        undo()
