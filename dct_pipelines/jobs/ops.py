"""The ops: claim, one for each action type, close. Each translates one call of the executor.

No op retries by Dagster's means: when an execution tries again is the engine's decision, and the next
attempt is a run of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import dagster as dg
from pydantic import ValidationError

from dct_pipelines import registry
from dct_pipelines.bootstrap import App
from dct_pipelines.clients import printed
from dct_pipelines.domain import run_tags
from dct_pipelines.domain.action import ActionType
from dct_pipelines.domain.errors import ActionFailed, DctError, InvalidInput
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.shapes import CLAIM, CLOSE, Shape, step_names
from dct_pipelines.engine.identity import ActionReport, RunIdentity
from dct_pipelines.jobs.fields import params_field

RESOURCE = "dct"
SHAPE_TAG = "dct/shape"
AFTER = "after"


def claim_op() -> dg.OpDefinition:
    """The first step: takes the execution that the run's tags name, or makes one for a run by hand."""
    return _op(CLAIM, claim, "Take the execution for this run.", is_first=True)


def close_op() -> dg.OpDefinition:
    """The last step: verifies the deliverables and ends the execution."""
    return _op(CLOSE, close, "Check what must exist, and end the execution.")


def action_op(action: ActionType[Any]) -> dg.OpDefinition:
    """The op of one action type. A job uses it once for each of its actions of that type."""
    return _op(f"perform_{action.kind}", perform, action.summary, {"params": params_field(action.config)})


def claim(context: dg.OpExecutionContext) -> None:
    """Take the execution; a run that nobody dispatched says in its config what to do."""
    run = identity(context.run)
    with explained():
        is_manual = run.execution_id is None
        actions = manual_actions(shape_of(context), context.run.run_config) if is_manual else None
        taken = app_of(context).executor.claim(run, actions)
    context.log.info(taken.because)
    context.add_output_metadata({"execution": str(taken.execution_id), "attempt": taken.attempt})


def perform(context: dg.OpExecutionContext) -> None:
    """Do the action whose place in the job this step has."""
    index = step_names(shape_of(context)).index(context.op_handle.name)
    with explained():
        report = app_of(context).executor.perform(identity(context.run), index, context.log.info)
    context.log.info("%s: %s", report.state, report.summary)
    context.add_output_metadata(metadata_of(report))


def close(context: dg.OpExecutionContext) -> None:
    """End the execution; the run fails with it."""
    with explained():
        report = app_of(context).executor.close(identity(context.run))
        if report.status is ExecutionState.FAILED and not report.is_noop:
            raise ActionFailed(report.because)
    because = f": {report.because}" if report.because else ""
    context.log.info("the execution is %s%s", report.status.value, because)
    context.add_output_metadata({"status": report.status.value})


def _op(
    name: str,
    work: Callable[[dg.OpExecutionContext], None],
    description: str,
    config: dict[str, dg.Field] | None = None,
    *,
    is_first: bool = False,
) -> dg.OpDefinition:
    """An op that moves no data, and whose output belongs into its log.

    The function's annotation is set here, because ours are text, which Dagster does not read. That it returns
    None spares its steps all questions about data (`instance/straight.py`).
    """

    def op(context):  # type: ignore[no-untyped-def]
        try:
            work(context)
        finally:
            if text := printed.take():
                context.log.info("printed:\n%s", text)

    op.__annotations__ = {"return": None}
    return dg.op(
        name=name,
        description=description,
        ins={} if is_first else {AFTER: dg.In(dg.Nothing)},
        out=dg.Out(dg.Nothing),
        config_schema=config,
        required_resource_keys={RESOURCE},
    )(op)


def identity(run: dg.DagsterRun) -> RunIdentity:
    """Who this run is, from its id, its parent and its tags."""
    execution, attempt = run.tags.get(run_tags.EXECUTION), run.tags.get(run_tags.ATTEMPT)
    return RunIdentity(
        run_id=run.run_id,
        job_name=run.job_name,
        execution_id=UUID(execution) if execution else None,
        attempt=int(attempt) if attempt else None,
        parent_run_id=run.parent_run_id,
    )


def shape_of(context: dg.OpExecutionContext) -> Shape:
    """The shape of the job, which it carries as a tag."""
    return tuple(context.job_def.tags[SHAPE_TAG].split(","))


def manual_actions(shape: Shape, run_config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The actions of a run that somebody launched by hand, from its config.

    Raises `InvalidInput` with one line for each parameter that is missing, unknown or of the wrong kind.
    """
    steps = step_names(shape)
    actions, faults = [], []
    for kind, step in zip(shape, steps, strict=True):
        config = run_config.get("ops", {}).get(step, {}).get("config", {}).get("params", {})
        try:
            registry.action(kind).config.model_validate(config)
        except ValidationError as error:
            faults += [_fault(step, detail) for detail in error.errors(include_url=False)]
        actions.append({"type": kind, "name": step, "config": config})
    if faults:
        raise InvalidInput(
            "\n".join(["this run has no trigger, so its config must say what to do:", *faults])
        )
    return actions


def app_of(context: dg.OpExecutionContext) -> App:
    """The process's services."""
    app: App = getattr(context.resources, RESOURCE).app
    return app


@contextmanager
def explained() -> Iterator[None]:
    """Turn our errors into what an operator reads in Dagster's UI.

    A step that is interrupted just ends: the sweep asks Dagster whether somebody cancelled the run or its
    process was stopped, and cancels the execution or gives it its next attempt.
    """
    try:
        yield
    except DctError as error:
        facts: dict[str, Any] = {"error": type(error).__name__, "may pass by itself": error.transient}
        # A refusal needs no stack trace; what lies behind an unexpected error does.
        cause = error if error.__cause__ is not None else None
        raise dg.Failure(str(error), metadata=facts, allow_retries=False) from cause


def metadata_of(report: ActionReport) -> dict[str, Any]:
    """What a step shows of its action: how it went, its outputs, and links to look at."""
    shown: dict[str, Any] = {"state": report.state, "summary": report.summary}
    shown |= {name: dg.MetadataValue.text(str(value)) for name, value in report.outputs.items()}
    return shown | {link.title: dg.MetadataValue.url(link.url) for link in report.links}


def _fault(step: str, detail: Mapping[str, Any]) -> str:
    place = ".".join(map(str, ("ops", step, "config", "params", *detail["loc"])))
    return f"  {place}: {detail['msg']}"
