"""`dct metrics`: what Prometheus scrapes, served or printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from dct_pipelines.cli.options import Json

if TYPE_CHECKING:
    from dct_pipelines.bootstrap import App
    from dct_pipelines.engine.exposition import Exposition

app = typer.Typer(help="What Prometheus scrapes.", no_args_is_help=True)


@app.command("serve")
def serve(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: DCT_METRICS_PORT; 0 takes a free one.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Default: DCT_METRICS_HOST, which is loopback.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON line when it is ready.")] = False,
) -> None:
    """Answer scrapes at /metrics until Ctrl-C. `dct up` runs this by itself where DCT_METRICS_PORT is set."""
    from dct_pipelines.cli.session import services
    from dct_pipelines.cli.up import until_signal
    from dct_pipelines.clients.metrics_server import serving
    from dct_pipelines.domain.errors import InvalidInput

    with services() as built, until_signal() as stop:
        wanted = built.settings.metrics_port if port is None else port
        if wanted is None:
            raise InvalidInput("say where: dct metrics serve --port 9464, or set DCT_METRICS_PORT")
        exposition = _exposition_of(built, in_haste=True)
        with serving(exposition.text, host or built.settings.metrics_host, wanted) as served:
            ready = json.dumps({"ready": True, "url": served.url})
            typer.echo(ready if json_output else f"metrics: {served.url}    stop with Ctrl-C")
            stop.wait()


@app.command("show")
def show(json_output: Json = False) -> None:
    """Print what a scrape would get now."""
    from dct_pipelines.cli.output import print_json
    from dct_pipelines.cli.session import services

    with services() as built:
        exposition = _exposition_of(built)
        if json_output:
            print_json({"samples": [sample.model_dump() for sample in exposition.samples()]})
        else:
            typer.echo(exposition.text()[0].decode(), nl=False)


def _exposition_of(built: App, *, in_haste: bool = False) -> Exposition:
    """With Dagster's daemons, which another room can tell of."""
    from dct_pipelines.bootstrap.observed import exposition_of
    from dct_pipelines.instance.heartbeats import DaemonHeartbeats

    return exposition_of(built, DaemonHeartbeats(built.database), in_haste=in_haste)
