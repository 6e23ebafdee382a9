"""`dct execution`: what was carried out, what waits and why; cancel and retry."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from dct_pipelines.cli.options import LOCAL, As, Json, Limit
from dct_pipelines.domain.execution import ExecutionState

app = typer.Typer(help="Executions: each is one firing of a trigger.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, or the first digits of it.")]


@app.command("list")
def list_latest(
    status: Annotated[ExecutionState | None, typer.Option(help="Only those in this state.")] = None,
    trigger: Annotated[str | None, typer.Option(help="Only those of this trigger.")] = None,
    limit: Limit = 20,
    json_output: Json = False,
) -> None:
    """The latest executions, newest first."""
    from dct_pipelines.cli.output import print_json, short, table
    from dct_pipelines.cli.session import services
    from dct_pipelines.engine.manage import History

    with services() as services_:
        found = History(services_.database).latest(status=status, trigger=trigger, limit=limit)
        services_.waiting.tell(found)
    if json_output:
        print_json(found)
        return
    rows = [
        [
            short(one["id"]),
            one["trigger"],
            one["about"] or one["job_name"],
            one["status"],
            one["wait_reason"] or one["error_message"],
            one["ahead"],
            one["attempt"],
            one["created_at"],
            _took(one["started_at"], one["completed_at"]),
        ]
        for one in found
    ]
    columns = ("id", "trigger", "subject", "status", "why", "ahead", "attempt", "created", "took")
    nothing = "nothing was carried out yet; `dct explain` says why not"
    table(columns, rows, empty="no execution is like that" if status or trigger else nothing)


@app.command("show")
def show(execution_id: Id, json_output: Json = False) -> None:
    """One execution with every action, its attempts, and the runs in Dagster's UI."""
    from dct_pipelines.cli.output import print_json
    from dct_pipelines.cli.session import services
    from dct_pipelines.engine.manage import History

    with services() as services_:
        history = History(services_.database)
        found = history.show(history.execution_id(execution_id))
        services_.waiting.tell([found])
    if json_output:
        print_json(found)
    else:
        show_execution(found)


def show_execution(found: dict[str, Any]) -> None:
    """Print one execution."""
    from dct_pipelines.cli.output import facts, table

    actions, attempts = found["actions"], found["attempts"]
    hidden = ("actions", "attempts", "event", "not_before")
    facts({key: value for key, value in found.items() if key not in hidden})
    rows = [
        [
            one["name"],
            one["state"],
            _took(one.get("started_at"), one.get("ended_at")),
            one.get("error_message") or one.get("summary"),
        ]
        for one in actions
    ]
    table(("action", "state", "took", "result"), rows, empty="it has no action")
    rows = [
        [
            one["attempt"],
            one["state"],
            one["run_id"],
            one["dispatched_at"],
            one["ended_at"],
            one["error_message"],
        ]
        for one in attempts
    ]
    columns = ("attempt", "state", "Dagster run", "dispatched", "ended", "error")
    table(columns, rows, empty="it was not handed to Dagster yet")


@app.command("cancel")
def cancel(execution_id: Id, by: As = LOCAL, json_output: Json = False) -> None:
    """Stop an execution: at once if it waits, else as soon as its run notices."""
    from dct_pipelines.cli.session import services
    from dct_pipelines.engine.manage import History

    with services(dagster=True) as services_:
        found = History(services_.database).execution_id(execution_id)
        _permit(services_, by)
        state = services_.executor.cancel(found, by)
    told = "is cancelled" if state is ExecutionState.CANCELLED else f"is {state}; its run was told to stop"
    _tell(found, state, told, json_output)


@app.command("retry")
def retry(execution_id: Id, by: As = LOCAL, json_output: Json = False) -> None:
    """Take a failed or cancelled execution up again; what was done is not done again."""
    from dct_pipelines.cli.session import services
    from dct_pipelines.engine.manage import History

    with services() as services_:
        found = History(services_.database).execution_id(execution_id)
        _permit(services_, by)
        state = services_.executor.retry(found, by)
    _tell(found, state, "waits for its next attempt", json_output)


def _permit(services_: Any, by: str) -> None:
    from dct_pipelines.cli.session import catalog_of

    catalog_of(services_).permit_launch(by)


def _tell(found: Any, state: ExecutionState, told: str, json_output: bool) -> None:
    from dct_pipelines.cli.output import print_json, say, short

    if json_output:
        print_json({"id": found, "status": state.value})
    else:
        say(f"execution {short(found)} {told}")


def _took(start: datetime | None, end: datetime | None) -> str:
    from dct_pipelines.cli.output import span

    if start is None or end is None:
        return ""
    return span((end - start).total_seconds())
