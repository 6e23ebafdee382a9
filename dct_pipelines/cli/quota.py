"""`dct quota`: how much may be at work at the same time, changed while everything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dct_pipelines.cli.options import LOCAL, As, DryRun, Json

if TYPE_CHECKING:
    from dct_pipelines.engine.quotas import QuotaChange, QuotaInForce

app = typer.Typer(help="How much may be at work at the same time.", no_args_is_help=True)
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="executions, agents, agent_reservation_percent or workspaces.")
]


@app.command("show")
def show(json_output: Json = False) -> None:
    """Every quota: its value, where that comes from, and what is in use."""
    from dct_pipelines.cli.output import print_json, say, table
    from dct_pipelines.cli.session import services
    from dct_pipelines.domain.quotas import HIGH_PRIORITY
    from dct_pipelines.engine.quotas import OFF

    with services() as services_:
        found = services_.quotas.show()
    if json_output:
        print_json(found)
        return
    rows = [[one.name, one.value, one.in_use, _origin(one)] for one in found.quotas]
    table(("quota", "value", "in use", "from"), rows, empty="there are no quotas")
    if not found.is_enabled:
        say(OFF, "yellow")
        return
    say(
        f"{found.reserved_agents} agents are kept for priority {HIGH_PRIORITY} and above; "
        f"others have {found.standard_agents_in_use} of {found.standard_agents}"
    )


@app.command("set", context_settings={"ignore_unknown_options": True})  # a number below 0 is no option
def set_(
    name: Name,
    value: Annotated[int, typer.Argument(metavar="VALUE", help="A whole number from 0.")],
    by: As = LOCAL,
    dry_run: DryRun = False,
    json_output: Json = False,
) -> None:
    """Set a quota instead of its setting, at once. What is at work goes on, also above a lower one.

    0 lets no executions, agents or workspaces start; as agent_reservation_percent it reserves nothing.
    """
    from dct_pipelines.cli.session import services

    with services() as services_:
        change = services_.quotas.set(name, value, by, dry_run=dry_run)
    _tell(change, dry_run=dry_run, json_output=json_output)


@app.command("unset")
def unset(name: Name, by: As = LOCAL, dry_run: DryRun = False, json_output: Json = False) -> None:
    """Let the quota's setting count again."""
    from dct_pipelines.cli.session import services

    with services() as services_:
        change = services_.quotas.unset(name, by, dry_run=dry_run)
    _tell(change, dry_run=dry_run, json_output=json_output)


def _origin(one: QuotaInForce) -> str:
    if one.set_by is None or one.set_at is None:
        return one.setting
    return f"{one.set_by}, {one.set_at:%Y-%m-%d %H:%M} UTC ({one.setting} says {one.default})"


def _tell(change: QuotaChange, *, dry_run: bool, json_output: bool) -> None:
    from dct_pipelines.cli.output import print_json, say

    if json_output:
        print_json({**change.model_dump(mode="json"), "dry_run": dry_run})
        return
    if change.before == change.after:
        say(f"{change.name} stays {change.after}")
    else:
        say(f"{change.name}: {change.before} → {change.after}{' (nothing was changed)' if dry_run else ''}")
    for sentence in change.follows:
        say(sentence)
