"""`dct backup`: one moment of the deployment in one file, and whether such a file is whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dct_pipelines.cli.options import LOCAL, As, Json

if TYPE_CHECKING:
    from dct_pipelines.domain.backups import Manifest


def backup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write, or a directory that gets one.")
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Write nothing: read all of an existing backup and check it.")
    ] = False,
    by: As = LOCAL,
    json_output: Json = False,
) -> None:
    """Back up the database and what of the home cannot be made again, while everything goes on.

    `.env` and credentials are not in it: keep those where you keep secrets.
    """
    from dct_pipelines.cli.session import services
    from dct_pipelines.cli.up import unwinding
    from dct_pipelines.engine.backup import check

    if verify:
        _tell(file, check(file), json_output, "is whole")
        return
    with unwinding(), services() as services_:
        path, manifest = services_.backups.make(file.absolute(), by, _say_how_far)
    _tell(path, manifest, json_output, "was written")


def _say_how_far(line: str) -> None:
    typer.echo(line, err=True)


def _tell(path: Path, manifest: Manifest, json_output: bool, what: str) -> None:
    from dct_pipelines.cli.output import print_json, say
    from dct_pipelines.domain.counting import counted

    size = path.stat().st_size
    if json_output:
        told = manifest.model_dump(mode="json")
        print_json({"file": str(path), "bytes": size, "rows": manifest.rows, **told})
        return
    say(f"{path} {what}: {size / 2**20:.1f} MiB")
    say(
        f"backup {manifest.id} as of {manifest.as_of:%Y-%m-%d %H:%M:%S} UTC, release {manifest.release}, "
        f"{counted(manifest.rows, 'row')} of {counted(len(manifest.tables), 'table')}, "
        f"{counted(len(manifest.files), 'file')}"
    )
    for name, why in manifest.left_out_because.items():
        say(f"  left out: {name} ({why})", "yellow")
    if more := manifest.left_out - len(manifest.left_out_because):
        say(f"  left out: {more} more of the workspaces", "yellow")
