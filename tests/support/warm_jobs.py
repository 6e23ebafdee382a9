"""A code location of a few small jobs, for tests of what carries runs out."""

import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import dagster as dg
from dagster._core.events import EngineEventData
from dagster_shared.error import SerializableErrorInfo

SLOW_SECONDS = 1.2
"""Longer than a ledger waits before it writes."""


def _job(
    name: str,
    *works: Callable[[Any], Any],
    retry: dg.RetryPolicy | None = None,
    hooks: frozenset[dg.HookDefinition] = frozenset(),
) -> dg.JobDefinition:
    """A job of these steps in this order, without data between them."""
    ops = [
        dg.op(
            name=f"{name}_{number}",
            ins={"after": dg.In(dg.Nothing)} if number else {},
            out=dg.Out(dg.Nothing),
            retry_policy=retry,
        )(work)
        for number, work in enumerate(works)
    ]
    dependencies: dict[str, dict[str, Any]] = {ops[0].name: {}}
    for before, op in pairwise(ops):
        dependencies[op.name] = {"after": dg.DependencyDefinition(before.name)}
    graph = dg.GraphDefinition(name=name, node_defs=ops, dependencies=dependencies)
    return graph.to_job(executor_def=dg.in_process_executor, hooks=set(hooks))


def says(context) -> None:
    context.log.info("said by a step")
    context.add_output_metadata({"what": "said"})


def fails(_context) -> None:
    raise RuntimeError("on purpose")


def waits(_context) -> None:
    time.sleep(SLOW_SECONDS)


def interrupts_itself(_context) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)


def gives(context) -> Any:
    context.add_output_metadata({"what": "given"})
    return dg.Output(None, metadata={"more": 1})


def gives_a_value(_context) -> Any:
    return 5


def tells(context) -> None:
    context.log_event(dg.ExpectationResult(success=True, label="as expected"))


def fails_on_purpose(_context) -> None:
    raise dg.Failure("on purpose", metadata={"facts": "known"})


def lies(_context) -> None:
    return 5  # type: ignore[return-value]


def engine_breaks(context) -> None:
    error = SerializableErrorInfo("on purpose", [], None)
    step = context.get_step_execution_context()
    dg.DagsterEvent.engine_event(step, "it broke", EngineEventData(error=error))


def fails_once(context) -> None:
    if context.retry_number == 0:
        raise RuntimeError("on purpose")


@dg.success_hook
def hooked(context) -> None:
    context.log.info("the hook was here")


def again(context) -> None:
    if context.retry_number == 0:
        raise dg.RetryRequested(max_retries=1)
    context.log.info("this time")


ODD = (gives, gives_a_value, tells, fails_on_purpose, again, lies, engine_breaks)
defs = dg.Definitions(
    jobs=[
        _job("three", says, says, says),
        _job("breaks", says, fails, says),
        _job("slow", says, waits),
        _job("interrupted", interrupts_itself),
        *(_job(work.__name__, says, work, says) for work in ODD),
        _job("patient", says, fails_once, says, retry=dg.RetryPolicy(max_retries=1)),
        _job("hooks", says, says, hooks=frozenset({hooked})),
    ]
)
