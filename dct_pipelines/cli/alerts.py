"""`dct alert`: what is out of order, who looks after it, and whether people would hear of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dct_pipelines.cli.options import LOCAL, As, Json, Limit

if TYPE_CHECKING:
    from dct_pipelines.domain.incidents import Incident

app = typer.Typer(help="Incidents, and who is told of them.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, or the first digits of it.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Their ids, or the first digits of them.")]


@app.command("list")
def list_incidents(
    everything: Annotated[bool, typer.Option("--all", help="Those that are resolved, too.")] = False,
    limit: Limit = 50,
    json_output: Json = False,
) -> None:
    """Incidents that are not resolved, the newest first, and which messages nobody gets."""
    from dct_pipelines.cli.output import print_json, say, short, table
    from dct_pipelines.cli.session import services

    with services() as services_:
        found = services_.alerts.latest(with_resolved=everything, limit=limit)
        faults = [] if json_output else services_.alerts.unheard()
    if json_output:
        print_json(found)
        return
    rows = [
        [short(one.id), one.rule, one.subject, one.state, one.opened_at, one.resolved_at, one.text]
        for one in found
    ]
    columns = ("id", "rule", "subject", "state", "opened", "resolved", "what")
    table(columns, rows, empty="there was no incident yet" if everything else "nothing is out of order")
    for fault in faults:
        say(f"{fault.says} → {fault.mend}", "yellow")


@app.command("show")
def show(incident_id: Id, json_output: Json = False) -> None:
    """One incident, and what became of the messages about it."""
    from dct_pipelines.cli.output import facts, print_json, table
    from dct_pipelines.cli.session import services

    with services() as services_:
        found = services_.alerts.show(incident_id)
    if json_output:
        print_json(found)
        return
    messages = found.pop("messages")
    facts(found)
    columns = ("kind", "destination", "written", "attempts", "sent", "given up", "last error")
    keys = ("kind", "destination", "created_at", "attempts", "sent_at", "dropped_at", "last_error")
    table(columns, [[one[key] for key in keys] for one in messages], empty="nobody was told")


@app.command("acknowledge")
def acknowledge(incident_ids: Ids, by: As = LOCAL, json_output: Json = False) -> None:
    """Say that somebody looks after these. Their end is told all the same."""
    from dct_pipelines.cli.session import services

    with services() as services_:
        changed = services_.alerts.acknowledge(incident_ids, by)
    _tell(changed, "acknowledged", len(incident_ids), json_output=json_output)


@app.command("resolve")
def resolve(incident_ids: Ids, by: As = LOCAL, json_output: Json = False) -> None:
    """End these by hand. What is still out of order after ten minutes is a new incident."""
    from dct_pipelines.cli.session import services

    with services() as services_:
        changed = services_.alerts.resolve(incident_ids, by)
    _tell(changed, "resolved", len(incident_ids), json_output=json_output)


@app.command("test")
def try_out(by: As = LOCAL, json_output: Json = False) -> None:
    """Send a test message everywhere that incidents are told. Exit code 1 when one did not arrive."""
    from dct_pipelines.cli.output import print_json, say
    from dct_pipelines.cli.session import services

    with services() as services_:
        tried = services_.alerts.test(by)
    if json_output:
        print_json(tried)
    else:
        for one in tried:
            say(f"{one.destination}: {one.error or 'arrived'}", "red" if one.error else "green")
    if any(one.error for one in tried):
        raise typer.Exit(1)


def _tell(changed: list[Incident], how: str, asked: int, *, json_output: bool) -> None:
    from dct_pipelines.cli.output import print_json, say, short

    if json_output:
        print_json(changed)
        return
    for one in changed:
        say(f"{short(one.id)} {one.rule} of {one.subject} is {how}")
    if not changed:
        say(f"nothing was changed: {'it was' if asked == 1 else 'they were'} so already")
