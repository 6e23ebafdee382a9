"""`dct maintenance`: what the daily job does, from the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dct_pipelines.cli.options import Json

if TYPE_CHECKING:
    from dct_pipelines.engine.maintenance import StepReport

app = typer.Typer(help="Keep the deployment in order.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep the deployment in order."""


@app.command("run")
def run(
    step: Annotated[
        list[str] | None, typer.Option("--step", metavar="NAME", help="Only this step. May be repeated.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would go, and change nothing.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Delete what is old, archive idle workspaces, warn of what expires: what the daily job does.

    Everything else goes on meanwhile; a step that fails holds up no other (exit code 1). It may be stopped
    at any moment; the next run does the rest.
    """
    from dct_pipelines.cli.output import print_json
    from dct_pipelines.cli.session import services
    from dct_pipelines.domain.errors import InvalidInput
    from dct_pipelines.engine.maintenance import STEPS

    unknown = [name for name in step or () if name not in STEPS]
    if unknown:
        raise InvalidInput(f"there is no step {unknown[0]!r}; the steps are {', '.join(STEPS)}")
    reports, failed = [], {}
    with services() as services_:
        for name in [one for one in STEPS if not step or one in step]:
            try:
                reports.append(services_.maintenance.run(name, dry_run=dry_run))
            except Exception as error:  # noqa: BLE001 - whatever it is, the other steps have their own work
                failed[name] = str(error)
                typer.echo(f"dct: {name} failed: {error}", err=True)
                continue
            if not json_output:
                _tell(reports[-1], dry_run=dry_run)
    if json_output:
        print_json({"dry_run": dry_run, "steps": reports, "failed": failed})
    if failed:
        raise typer.Exit(1)


def _tell(report: StepReport, *, dry_run: bool) -> None:
    from dct_pipelines.cli.output import say, span

    verb = "would delete" if dry_run else "deleted"
    parts = [f"{count} of {table}" for table, count in report.deleted.items()]
    did = report.did or f"{verb} {', '.join(parts) or 'nothing'}"
    say(f"{report.step}: {did} ({span(report.seconds)})")
    for warning in report.warnings:
        say(f"  {warning}", "yellow")
    for note in report.notes:
        say(f"  {note}")
