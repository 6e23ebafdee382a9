"""`dct restore`: put a backup back, and decide what the restored deployment may do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from dct_pipelines.cli.options import LOCAL, As, DryRun, Json

if TYPE_CHECKING:
    from uuid import UUID

    from dct_pipelines.domain.restored import Uncertain, WithoutCode
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
    from dct_pipelines.cli.up import unwinding
    from dct_pipelines.clients.stack.lock import only_one
    from dct_pipelines.settings import load_settings

    settings = load_settings()
    require_project(settings)
    app_ = build(settings)
    try:
        with unwinding(), only_one(settings.home / LOCK, "the engine"):
            if dry_run:
                _tell_plan(app_.restoring.plan(path, by, replace=replace), json_output)
            else:
                done = app_.restoring.restore(path, by, _say_how_far, replace=replace)
                _tell_done(done, app_.rebuilding.missing(), json_output)
    finally:
        app_.database.dispose()


@app.command("list")
def list_(json_output: Json = False) -> None:
    """What is held because the original may have done it already, and what has still to be read."""
    from dct_pipelines.cli.output import print_json, say, short, table
    from dct_pipelines.cli.session import services

    with services() as services_:
        found, without_code = services_.restored.report(), services_.rebuilding.missing()
    if json_output:
        without = [one.model_dump(mode="json") for one in without_code]
        print_json({**found.model_dump(mode="json"), "without_code": without})
        return
    _tell_state(found)
    rows = [
        [short(one.id), one.trigger, one.about, _when(one), _ands(one.done), _ands(one.begun), one.why]
        for one in found.uncertain
    ]
    columns = ("execution", "trigger", "subject", "happened", "done", "begun", "why it is held")
    table(columns, rows, empty="nothing is held as uncertain")
    for one in found.unread:
        say(
            f"! not read since the restore: {one.connection} {f'({one.detail})' if one.detail else ''}", "red"
        )
    for lost in without_code:
        say(
            f"! no code of workspace {lost.title!r} is here (branch {lost.branch} of {lost.repository}): "
            f"`dct restore workspace {short(lost.id)}`",
            "red",
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


@app.command("workspace")
def workspace(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IDS]...", help="Workspaces, by their ids or the first digits of them."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All whose code is not here.")] = False,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin again at the first commit where the branch is gone.")
    ] = False,
    dry_run: DryRun = False,
    by: As = LOCAL,
    json_output: Json = False,
) -> None:
    """Bring back the code of workspaces that have none here, from their branches; files that are there stay.

    A backup holds the context of a workspace only. What was never pushed is not made up. Exit code 1 when
    one could not be brought back.
    """
    from dct_pipelines.cli.output import print_json, short, table
    from dct_pipelines.cli.session import services

    chosen = _chosen(ids, every, "workspaces")
    with services() as services_:
        told = services_.rebuilding.rebuild(chosen, by, from_start=from_start, dry_run=dry_run)
    if json_output:
        print_json({"dry_run": dry_run, "workspaces": told})
    else:
        rows = [(short(one.id), one.title, one.branch, one.says) for one in told]
        table(("workspace", "title", "branch", "result"), rows, empty="every workspace has its code here")
    if not all(one.is_back for one in told):
        raise typer.Exit(1)


def _chosen(ids: list[str] | None, every: bool, of: str = "executions") -> list[str] | None:
    from dct_pipelines.domain.errors import InvalidInput

    if bool(ids) is every:
        raise InvalidInput(f"name {of} by their ids, or say --all")
    return None if every else ids


def _when(one: Uncertain) -> Any:
    """The time of the event; git keeps none, so that there it is when we read it."""
    from dct_pipelines.cli.output import clean

    return one.happened_at if one.happened_at or not one.seen_at else f"seen {clean(one.seen_at)}"


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
    from collections import Counter

    from dct_pipelines.cli.output import say
    from dct_pipelines.domain.counting import counted

    manifest = plan.manifest
    say(
        f"{what} backup {manifest.id} as of {manifest.as_of:%Y-%m-%d %H:%M:%S} UTC, release "
        f"{manifest.release}: {counted(manifest.rows, 'row')} of {counted(len(manifest.tables), 'table')}"
    )
    if plan.migrates_from is not None:
        say(f"its tables are of revision {plan.migrates_from} and are brought to this release")
    for name, rows in plan.replaces.items():
        if rows:
            say(f"  in the place of {counted(rows, 'row')} of {name}", "yellow")
    for (grantee, schema), count in Counter((one.grantee, one.schema_name) for one in plan.grants).items():
        say(f"  what {grantee} may do in {schema} stays: {counted(count, 'grant')}", "yellow")


def _tell_done(done: RestoreReport, without_code: tuple[WithoutCode, ...], json_output: bool) -> None:
    from dct_pipelines.cli.output import print_json, say
    from dct_pipelines.domain.counting import counted
    from dct_pipelines.domain.words import RESTORED_OUTBOX

    if json_output:
        without = [one.model_dump(mode="json") for one in without_code]
        print_json({**done.model_dump(mode="json"), "without_code": without})
        return
    _say_plan(done.plan, "restored")
    back = counted(len(done.files), "file was", "files were")
    say(f"{back} put back; every count and checksum is that of the backup")
    for name in done.kept:
        say(f"  {name} is not put back: what is in its place, or a link on the way, stays", "yellow")
    if done.messages:
        say(
            f"{counted(done.messages, 'message')} of the outbox came back into {RESTORED_OUTBOX}, as they "
            "may have been read since the backup: move those that were not into the outbox, and remove "
            "the others",
            "yellow",
        )
    for grant in done.lost:
        say(f"  not granted again, as it is not in the backup: {grant}", "yellow")
    if without_code:
        lost = counted(len(without_code), "open workspace has", "open workspaces have")
        say(f"{lost} no code here: `dct restore workspace --all` rebuilds it from the branches", "yellow")
    held = counted(done.held, "execution was open and is", "executions were open and are")
    say(f"{held} held as uncertain; {NEXT}")


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
