"""Levers (`instance/levers.py`) for steps through which no data flows, which all of ours are.

For an output of Dagster's type `Nothing` the engine goes through a dozen nested generators: it looks whether
the step is an asset's, checks the type of what is not there, and asks an IO manager not to store it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any
from weakref import WeakKeyDictionary

from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterExecutionStepExecutionError,
    DagsterInvariantViolationError,
    JobDefinition,
    OpDefinition,
)
from dagster._core.definitions.decorators.op_decorator import DecoratedOpFunction
from dagster._core.definitions.output import OutputDefinition
from dagster._core.execution.context.compute import enter_execution_context
from dagster._core.execution.context.system import PlanExecutionContext, StepExecutionContext
from dagster._core.execution.plan import execute_plan, execute_step
from dagster._core.execution.plan.objects import StepSuccessData, TypeCheckData
from dagster._core.execution.plan.outputs import StepOutputData, StepOutputHandle
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.plan.state import KnownExecutionState
from dagster._core.execution.plan.step import ExecutionStep
from dagster._core.execution.plan.utils import op_execution_error_boundary
from dagster._core.executor import in_process
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._utils.timing import time_execution_scope

from dct_pipelines.instance.seams import Undo, replace

Work = Callable[[Any], Any]
Events = Iterator[DagsterEvent]
Steps = tuple[ExecutionStep, ...]
LATER = (isgeneratorfunction, iscoroutinefunction, isasyncgenfunction)


def steps_without_data() -> Undo:
    """A step that takes and gives nothing is begun, done and ended, and nothing is asked about its data."""
    stock = execute_step.core_dagster_event_sequence_for_step
    found: WeakKeyDictionary[OpDefinition, Work | None] = WeakKeyDictionary()

    def sequence(step: StepExecutionContext) -> Events:
        op = step.op_def
        if op not in found:
            found[op] = _work_of(op)
        work = found[op]
        return stock(step) if work is None or _has_more_to_it(step) else _straight(step, work)

    return replace(execute_plan, "core_dagster_event_sequence_for_step", sequence)


def _work_of(op: OpDefinition) -> Work | None:
    """The function of an op that takes its context alone and says that it returns None; None for others."""
    compute = op.compute_fn
    if not isinstance(compute, DecoratedOpFunction):
        return None
    work = compute.decorated_fn
    says_nothing = getattr(work, "__annotations__", {}).get("return", work) is None
    takes_context_alone = (
        compute.has_context_arg() and not compute.has_config_arg() and not compute.get_resource_args()
    )
    takes_nothing = all(one.dagster_type.is_nothing for one in op.input_defs)
    gives_nothing = len(op.output_defs) == 1 and _is_plain_nothing(op.output_defs[0])
    is_at_once = not any(kind(work) for kind in LATER)
    is_straight = says_nothing and takes_context_alone and takes_nothing and gives_nothing and is_at_once
    return work if is_straight else None


def _is_plain_nothing(output: OutputDefinition) -> bool:
    return output.dagster_type.is_nothing and output.is_required and not output.is_dynamic


def _has_more_to_it(step: StepExecutionContext) -> bool:
    """Whether it is tried again, belongs to an asset, or somebody else is given its output: hooks, tests."""
    return bool(
        step.previous_attempt_count
        or step.output_capture is not None
        or step.step_output_capture is not None
        or step.is_sda_step
        or step.is_in_graph_asset
    )


def _straight(step: StepExecutionContext, work: Work) -> Events:
    op = step.op_def
    yield DagsterEvent.step_start_event(step)
    with time_execution_scope() as timer, enter_execution_context(step) as context:
        with op_execution_error_boundary(
            DagsterExecutionStepExecutionError,
            msg_fn=lambda: f"Error occurred while executing {step.describe_op()}:",
            step_context=step,
            step_key=step.step.key,
            op_def_name=op.name,
            op_name=step.op.name,
        ):
            result = work(context)
        if result is not None or step.requires_typed_event_stream:
            raise DagsterInvariantViolationError(
                f"{step.describe_op()} says that it returns None, and gave {type(result).__name__} or was"
                " told to yield its results; annotate its function with what it returns"
            )
        yield from context.op_execution_context.consume_events()
        yield _nothing(step, op.output_defs[0].name)
    success = StepSuccessData(duration_ms=timer.millis)  # type: ignore[no-untyped-call]
    yield DagsterEvent.step_success_event(step, success)


def _nothing(step: StepExecutionContext, name: str) -> DagsterEvent:
    checked = TypeCheckData(success=True, label=name)  # type: ignore[no-untyped-call]
    handle = StepOutputHandle(step.step.key, name)
    metadata = step.get_output_metadata(name) or {}
    return DagsterEvent.step_output_event(step, StepOutputData(handle, checked, metadata=metadata))


def chains_in_a_row() -> Undo:
    """Steps of which each waits for the one before are done one after the other, as long as each succeeds.

    Otherwise the engine keeps book, and looks through it at each event, of which step is ready, skipped or
    abandoned, whose hooks are due, and which pools it takes from.
    """
    stock = in_process.inprocess_execution_iterator
    found: WeakKeyDictionary[JobDefinition, tuple[ExecutionPlan, Steps | None]] = WeakKeyDictionary()

    def inprocess_execution_iterator(
        job_context: PlanExecutionContext, execution_plan: ExecutionPlan
    ) -> Events:
        job = job_context.job_def
        known = found.get(job)
        if known is None or known[0] is not execution_plan:
            known = found[job] = execution_plan, chain_of(job, execution_plan)
        steps = known[1]
        is_captured = not isinstance(job_context.instance.compute_log_manager, NoOpComputeLogManager)
        if steps is None or is_captured:
            return stock(job_context, execution_plan)
        return _in_a_row(job_context, execution_plan, steps)

    return replace(in_process, "inprocess_execution_iterator", inprocess_execution_iterator)


def chain_of(job: JobDefinition, plan: ExecutionPlan) -> Steps | None:
    """The steps in their order, if there is but one and no step has more to it; None for other plans."""
    before: set[str] = set()
    chain: list[ExecutionStep] = []
    needs = plan.get_executable_step_deps()
    for level in plan.get_steps_to_execute_by_level():
        step = level[0]
        if len(level) > 1 or _work_of(job.get_op(step.node_handle).definition) is None:
            return None
        if step.pool or step.tags or job.get_all_hooks_for_handle(step.node_handle):
            return None
        if needs[step.key] != before:
            return None
        chain.append(step)
        before = {step.key}
    is_new = plan.known_state == KnownExecutionState() and len(chain) == len(plan.step_dict)
    return tuple(chain) if is_new else None


def _in_a_row(job: PlanExecutionContext, plan: ExecutionPlan, steps: Steps) -> Events:
    seen: list[DagsterEvent] = []
    for step in steps:
        context = job.for_step(step, plan.known_state)
        for event in execute_plan.dagster_event_sequence_for_step(context):
            seen.append(event)
            yield event
        if seen[-1].event_type_value != DagsterEventType.STEP_SUCCESS.value:
            yield from _by_the_book(job, plan, seen)
            return


def _by_the_book(job: PlanExecutionContext, plan: ExecutionPlan, seen: Sequence[DagsterEvent]) -> Events:
    """What Dagster does about a step that did not succeed, and about those that wait for it."""
    with plan.start(retry_mode=job.retry_mode, step_dependency_config=job.step_dependency_config) as active:
        active.rebuild_from_events(seen[:-1])
        active.handle_event(seen[-1])
        yield from active.plan_events_iterator(job)
        while not active.is_complete:
            step = active.get_next_step()
            if step is None:
                active.sleep_til_ready()
                continue
            context = job.for_step(step, active.get_known_state())
            for event in execute_plan.dagster_event_sequence_for_step(context):
                yield event
                active.handle_event(event)
            active.verify_complete(job, step.key)
            yield from active.plan_events_iterator(job)


LEVERS: Mapping[str, Callable[[], Undo]] = {
    "steps without data": steps_without_data,
    "chains in a row": chains_in_a_row,
}
