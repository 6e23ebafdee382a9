"""What a lever has found out is kept for as long as it is true, and shown to nobody else."""

from __future__ import annotations

import gc
import weakref

import dagster as dg
import pytest
from dagster._core.definitions.scoped_resources_builder import ScopedResourcesBuilder
from dagster._core.system_config.objects import ResolvedRunConfig

from dct_pipelines.instance import levers

pytestmark = pytest.mark.dagster


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
