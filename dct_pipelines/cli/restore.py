"""`dct restore`: put a backup back, and decide what the restored deployment may do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from dct_pipelines.cli.options import LOCAL, As, DryRun, Json

if TYPE_CHECKING:
    from uuid import UUID

    from dct_pipelines.engine.restore import RestorePlan, RestoreReport
    from dct_pipelines.engine.restored import RestoredReport

DO = "file"
"""The command that stands for none: `dct restore FILE`."""


class FileOrCommand(TyperGroup):
    """What is none of its commands is the file to restore; one that is called so is given as `./list`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As in any group, with `DO` where no command is named."""
        first = next((one for one in args if not one.startswith("-")), "")
        return super().resolve_command(ctx, args if first in self.commands else [DO, *args])


app = typer.Typer(
    cls=FileOrCommand,
    help="Put a backup back (`dct restore FILE`), and decide what the restored deployment may do.",
    no_args_is_help=True,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[IDS]...", help="Executions, by their ids or the first digits of them."),
]
All = Annotated[bool, typer.Option("--all", help="All that are held.")]
NEXT = (
    "it starts nothing yet. `dct up` reads what changed since the backup; `dct restore list` shows what the "
    "original may have done already; release or skip that, then `dct restore finish`"
)


@app.command(DO)
def file(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A backup that `dct backup` has made.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of the deployment that is here.")
    ] = False,
    dry_run: DryRun = False,
    by: As = LOCAL,
    json_output: Json = False,
) -> None:
    """Restore a backup into this deployment, which has to be empty; it starts paused.

    Nothing is changed unless the backup is whole and of this release or an older one.
    """
    from dct_pipelines.bootstrap import build
    from dct_pipelines.cli.session import require_project
    from dct_pipelines.cli.supervisor import LOCK
    from dct_pipelines.clients.stack.lock import only_one
    from dct_pipelines.settings import load_settings

    settings = load_settings()
    require_project(settings)
    app_ = build(settings)
    try:
        with only_one(settings.home / LOCK, "the engine"):
            if dry_run:
                _tell_plan(app_.restoring.plan(path, by, replace=replace), json_output)
            else:
                done = app_.restoring.restore(path, by, _say_how_far, replace=replace)
                _tell_done(done, json_output)
    finally:
        app_.database.dispose()


@app.command("list")
def list_(json_output: Json = False) -> None:
    """What is held because the original may have done it already, and what has still to be read."""
    from dct_pipelines.cli.output import print_json, say, short, table
    from dct_pipelines.cli.session import services

    with services() as services_:
        found = services_.restored.report()
    if json_output:
        print_json(found)
        return
    _tell_state(found)
    rows = [
        [short(one.id), one.trigger, one.about, one.happened_at, _ands(one.done), _ands(one.begun), one.why]
        for one in found.uncertain
    ]
    columns = ("execution", "trigger", "subject", "happened", "done", "begun", "why it is held")
    table(columns, rows, empty="nothing is held as uncertain")
    for one in found.unread:
        say(
            f"! not read since the restore: {one.connection} {f'({one.detail})' if one.detail else ''}", "red"
        )


@app.command("release")
def release(ids: Ids = None, every: All = False, by: As = LOCAL, json_output: Json = False) -> None:
    """Let executions go on that are held; they start after `dct restore finish`."""
    from dct_pipelines.cli.session import services

    chosen = _chosen(ids, every)
    with services() as services_:
        _tell_ids(services_.restored.release(chosen, by), "released", json_output)


@app.command("skip")
def skip(ids: Ids = None, every: All = False, by: As = LOCAL, json_output: Json = False) -> None:
    """End executions that are held, as cancelled: the original has done them, or nobody needs to."""
    from dct_pipelines.cli.session import services

    chosen = _chosen(ids, every)
    with services() as services_:
        _tell_ids(services_.restored.skip(chosen, by), "skipped", json_output)


@app.command("finish")
def finish(
    unread: Annotated[
        bool, typer.Option("--unread", help="Also when connections were not read since the restore.")
    ] = False,
    by: As = LOCAL,
    json_output: Json = False,
) -> None:
    """Let work start: what was released, and from here on whatever fires."""
    from dct_pipelines.cli.output import print_json, say
    from dct_pipelines.cli.session import services

    with services() as services_:
        restored = services_.restored.finish(by, unread_too=unread)
    if json_output:
        print_json({"finished": restored})
    else:
        say(f"the pause after the restore of backup {restored.backup_id} is over; work starts")


def _chosen(ids: list[str] | None, every: bool) -> list[str] | None:
    from dct_pipelines.domain.errors import InvalidInput

    if bool(ids) is every:
        raise InvalidInput("name executions by their ids, or say --all")
    return None if every else ids


def _say_how_far(line: str) -> None:
    typer.echo(line, err=True)


def _tell_plan(plan: RestorePlan, json_output: bool) -> None:
    from dct_pipelines.cli.output import print_json, say

    if json_output:
        print_json({"dry_run": True, **plan.model_dump(mode="json")})
        return
    _say_plan(plan, "would restore")
    say("nothing was changed")


def _say_plan(plan: RestorePlan, what: str) -> None:
    from dct_pipelines.cli.output import say

    manifest = plan.manifest
    say(
        f"{what} backup {manifest.id} as of {manifest.as_of:%Y-%m-%d %H:%M:%S} UTC, release "
        f"{manifest.release}: {manifest.rows:,} rows of {len(manifest.tables)} tables"
    )
    if plan.migrates_from is not None:
        say(f"its tables are of revision {plan.migrates_from} and are brought to this release")
    for name, rows in plan.replaces.items():
        if rows:
            say(f"  in the place of {rows:,} rows of {name}", "yellow")


def _tell_done(done: RestoreReport, json_output: bool) -> None:
    from dct_pipelines.cli.output import print_json, say

    if json_output:
        print_json(done)
        return
    _say_plan(done.plan, "restored")
    say(f"{len(done.files)} files were put back; every count and checksum is that of the backup")
    for name in done.kept:
        say(f"  {name} was there already and is left as it is", "yellow")
    say(f"{done.held} executions were open and are held as uncertain; {NEXT}")


def _tell_state(found: RestoredReport) -> None:
    from dct_pipelines.cli.output import say

    restored = found.restored
    if restored is None:
        say("the deployment is not paused by a restore")
        return
    say(
        f"restored at {restored.at:%Y-%m-%d %H:%M:%S} UTC from backup {restored.backup_id} as of "
        f"{restored.as_of:%Y-%m-%d %H:%M:%S} UTC; nothing starts until `dct restore finish`"
    )


def _tell_ids(ids: list[UUID], verb: str, json_output: bool) -> None:
    from dct_pipelines.cli.output import print_json, say, short

    if json_output:
        print_json({verb: ids})
    else:
        say(f"{verb} {', '.join(map(short, ids))}" if ids else "nothing is held as uncertain")


def _ands(names: tuple[str, ...]) -> str:
    return ", ".join(names)
