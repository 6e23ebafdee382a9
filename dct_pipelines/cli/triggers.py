"""`dct trigger`: what fires on what, and what then happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dct_pipelines.cli.options import DEFAULT_SET, LOCAL, As, DryRun, Files, Json, Prune, Set
from dct_pipelines.domain.words import TriggerStatus

if TYPE_CHECKING:
    from dct_pipelines.engine.simulate import SimulatedDecision, Simulation

app = typer.Typer(help="Triggers: conditions on items, and the actions that follow.", no_args_is_help=True)
Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of triggers.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the version.")]


@app.command("apply")
def apply(
    file: Files,
    dry_run: DryRun = False,
    prune: Prune = False,
    applied_set: Set = DEFAULT_SET,
    by: As = LOCAL,
    json_output: Json = False,
) -> None:
    """Create and update the triggers of the manifests; --prune deletes what the set no longer holds.

    Manifests of other kinds are left alone; what triggers refer to has to be stored already (`dct apply`
    stores all together). Each change is a version; a new trigger fires on nothing that happened before.
    """
    from dct_pipelines.cli.apply import apply_files
    from dct_pipelines.domain.words import Kind

    apply_files(
        file,
        only={Kind.TRIGGER},
        dry_run=dry_run,
        prune=prune,
        applied_set=applied_set,
        by=by,
        json_output=json_output,
    )


@app.command("list")
def list_all(
    status: Annotated[TriggerStatus | None, typer.Option(help="Only those in this state.")] = None,
    json_output: Json = False,
) -> None:
    """Every trigger with its state and how often it fired."""
    from dct_pipelines.cli.output import print_json, table
    from dct_pipelines.cli.session import catalog_of, services

    with services() as services_:
        found = catalog_of(services_).triggers(status)
    rows: list[dict[str, Any]] = [
        {
            "name": one.name,
            "status": one.status.value,
            "type": one.spec["type"],
            "priority": one.spec["priority"],
            "items": list(one.spec["items"]),
            "job": one.job_name,
            "fired": one.execution_count,
            "failed": one.failure_count,
            "last_fired": one.last_triggered,
            "owner": one.created_by,
            "version": one.version,
            "set": one.applied_set,
        }
        for one in found
    ]
    if json_output:
        print_json(rows)
        return
    columns = ("name", "status", "priority", "items", "job", "fired", "failed", "last_fired")
    shown = [[", ".join(row[key]) if key == "items" else row[key] for key in columns] for row in rows]
    table(columns, shown, empty="no trigger is defined yet: dct trigger apply -f FILE")


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="Its name.")], json_output: Json = False) -> None:
    """One trigger: what it does, its versions, and who changed it."""
    from dct_pipelines.cli.definitions import show_definition

    show_definition("trigger", name, json_output)


@app.command("export")
def export(
    names: Annotated[list[str] | None, typer.Argument(help="All when none is named.")] = None,
    json_output: Json = False,
) -> None:
    """Print triggers as manifests that can be applied again."""
    from dct_pipelines.cli.definitions import export_definitions

    export_definitions("trigger", names or [], json_output)


@app.command("pause")
def pause(names: Names, reason: Reason = "", by: As = LOCAL, json_output: Json = False) -> None:
    """Stop triggers from firing; what they have started goes on. What happens meanwhile never fires them."""
    _set_status(names, TriggerStatus.PAUSED, reason or f"paused by {by}", by, json_output)


@app.command("resume")
def resume(names: Names, reason: Reason = "", by: As = LOCAL, json_output: Json = False) -> None:
    """Let triggers fire again, on what happens from now on."""
    _set_status(names, TriggerStatus.ACTIVE, reason or f"resumed by {by}", by, json_output)


@app.command("delete")
def delete(
    names: Names,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    by: As = LOCAL,
    json_output: Json = False,
) -> None:
    """Delete triggers. Their history stays explainable, and what they have started goes on."""
    from dct_pipelines.cli.output import print_json, say
    from dct_pipelines.cli.session import services

    if not yes and not json_output:
        typer.confirm(f"Delete {', '.join(names)}?", abort=True)
    with services() as services_:
        deleted = services_.manager.delete(names, by)
    if json_output:
        print_json({"deleted": deleted})
    else:
        say(f"deleted {', '.join(deleted)}")


def _set_status(names: list[str], status: TriggerStatus, reason: str, by: str, json_output: bool) -> None:
    from dct_pipelines.cli.output import print_json, say
    from dct_pipelines.cli.session import services

    with services() as services_:
        changed = services_.manager.set_status(names, status, by, reason)
    if json_output:
        print_json({"status": status.value, "changed": changed})
        return
    for name in names:
        say(f"{name} is {status.value}" + ("" if name in changed else " already"))


@app.command("simulate")
def simulate(
    name: Annotated[str | None, typer.Argument(help="A stored trigger; or name a file.")] = None,
    file: Annotated[
        str | None, typer.Option("--file", "-f", metavar="PATH", help="Triggers that are not saved.")
    ] = None,
    days: Annotated[float, typer.Option(min=0.001, max=3650, help="How far to look back.")] = 7,
    json_output: Json = False,
) -> None:
    """Replay the stored events of the last days against a trigger: what would have fired, been held, and why.

    Writes nothing. Uses the same rules and limits as the real decision.
    """
    from dct_pipelines.cli.output import print_json
    from dct_pipelines.cli.session import services
    from dct_pipelines.cli.simulated import specs_to_simulate

    with services() as services_:
        specs = specs_to_simulate(services_, name, file)
        answers = [services_.simulator.simulate(spec, days) for spec in specs]
    if json_output:
        print_json([answer.model_dump(mode="json") for answer in answers])
        return
    for answer in answers:
        _show_simulation(answer)


@app.command("rehearse")
def rehearse(
    name: Annotated[str | None, typer.Argument(help="A stored trigger; or name a file.")] = None,
    file: Annotated[
        str | None, typer.Option("--file", "-f", metavar="PATH", help="Triggers that are not saved.")
    ] = None,
    event: Annotated[
        str | None, typer.Option(metavar="ID", help="The event; default: the latest that would fire it.")
    ] = None,
    json_output: Json = False,
) -> None:
    """Say what a trigger's actions would do about an event now: dry runs, which read but never write.

    Exit code 1 when an action would fail. What only running can tell (does a suite pass?) stays open.
    """
    from dct_pipelines.cli.output import print_json
    from dct_pipelines.cli.session import services
    from dct_pipelines.cli.simulated import show_rehearsal, specs_to_simulate
    from dct_pipelines.engine.manage import History

    with services() as services_:
        event_id = History(services_.database).event_id(event) if event is not None else None
        specs = specs_to_simulate(services_, name, file)
        answers = [services_.rehearser.rehearse(spec, event_id) for spec in specs]
    if json_output:
        print_json([answer.model_dump(mode="json") for answer in answers])
    else:
        for answer in answers:
            show_rehearsal(answer)
    if not all(answer.succeeds for answer in answers):
        raise typer.Exit(1)


def _show_simulation(answer: Simulation) -> None:
    from dct_pipelines.cli.output import say, table
    from dct_pipelines.domain.words import DecisionOutcome

    counts = {outcome: answer.count(outcome) for outcome in DecisionOutcome}
    counts[DecisionOutcome.NOT_MATCHED] = answer.not_matched
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    since = f"{answer.since:%Y-%m-%d %H:%M} UTC"
    say(f"{answer.trigger}: {answer.events} events since {since}: {told or 'nothing'}")
    table(
        ("at", "event", "outcome", "because"), map(_row, answer.decisions), empty="nothing would have fired"
    )
    if answer.nearest_misses:
        say("Looked at and not matched, the latest:")
        table(("at", "event", "outcome", "because"), map(_row, answer.nearest_misses), empty="")
    for note in answer.notes:
        say(note, "yellow")


def _row(one: SimulatedDecision) -> tuple[Any, ...]:
    held = f" ({one.hold_reason}: {one.hold_detail})" if one.hold_reason else ""
    event = f"{one.event.kind} {one.event.subject}"
    return (one.event.occurred_at, event, one.ruling.outcome.value, one.ruling.because + held)
