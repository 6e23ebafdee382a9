"""The command `dct demo`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dct_pipelines.cli.options import Json

if TYPE_CHECKING:
    from rich.console import Console

DIRECTORY = Path(".dct") / "demo"


def demo(
    repo: Annotated[
        str | None,
        typer.Option(help="A repository of your own, path or URL. It is cloned first and never written to."),
    ] = None,
    directory: Annotated[
        Path | None, typer.Option(help="Where the demo lives; emptied first. Default: .dct/demo")
    ] = None,
    ui_port: Annotated[int | None, typer.Option(help="Port of Dagster's web UI.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep everything running at the end, until Ctrl-C.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Show the whole way of a change, live: push, merge, deploy, test, workspace, notification.

    Starts a deployment of its own, applies the triggers of examples/git, pushes branches to a sample
    repository (or to a copy of yours), and shows what happens and why. Nothing is left running.
    """
    from dct_pipelines.cli import output
    from dct_pipelines.clients.stack.lock import only_one

    root = (directory or DIRECTORY).resolve()
    screen = output.console(stderr=json_output)
    os.environ.pop("DCT_DATABASE_URL", None)  # the demo's processes must not find another deployment's
    with only_one(root.with_name(f"{root.name}.lock"), "a demo"):
        told = _perform(root, repo, ui_port, keep, screen)
    if json_output:
        output.print_json(told)
    elif not keep:
        screen.print("Everything is stopped again. `make up` starts a deployment of your own.")


def _perform(
    root: Path, repo: str | None, ui_port: int | None, keep: bool, screen: Console
) -> dict[str, Any]:
    from dct_pipelines.bootstrap import build
    from dct_pipelines.cli.demo.play import Play
    from dct_pipelines.cli.demo.show import Show
    from dct_pipelines.cli.demo.stage import build_stage
    from dct_pipelines.cli.supervisor import running
    from dct_pipelines.cli.up import on_end, until_signal
    from dct_pipelines.settings import load_settings

    say = screen.print
    settings = load_settings({"DAGSTER_HOME": str(root)})
    app = build(settings)
    if app.database.embedded is not None:
        app.database.embedded.discard()
    stage = build_stage(root, app.outside.processes, repo)
    say(f"Repository: {repo or 'a sample, made on the spot'}; everything of the demo is in {root}")

    def interrupt(*_: object) -> None:
        say("\nStopping everything ...")  # which takes some seconds: whoever pressed Ctrl-C sees it was heard
        raise KeyboardInterrupt

    with (
        on_end(interrupt),
        running(settings, ui_port=ui_port, say=lambda line: say(f"  {line}")) as stack,
    ):
        say(f"Running after {stack.seconds:.0f} s. Dagster's UI: {stack.ui_url}")
        play = Play(app.ready(), stage, Show(app, screen), say)
        say(play.apply())
        told = {
            "smooth": play.smooth(),
            "conflict": play.clash(),
            "mended": play.mended(),
            "ui_url": stack.ui_url,
        }
        say("\nAll three went as they should.")
        if keep:
            say(f"Still running: {stack.ui_url} (Ctrl-C ends it).")
            with until_signal() as stop:
                stop.wait()
        app.database.dispose()
    return told
