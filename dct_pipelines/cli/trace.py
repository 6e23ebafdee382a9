"""`dct trace`: what ended, as traces for an OpenTelemetry collector."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Annotated

import typer

from dct_pipelines.domain.errors import CollectorUnavailable, DatabaseUnavailable

if TYPE_CHECKING:
    from dct_pipelines.engine.tracing import Sent

LOOK_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0
app = typer.Typer(help="Traces for an OpenTelemetry collector.", no_args_is_help=True)
_log = logging.getLogger(__name__)


@app.callback()
def root() -> None:
    """Traces for an OpenTelemetry collector."""


@app.command("export")
def export(
    once: Annotated[bool, typer.Option("--once", help="Send what there is, and end.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON line for each batch.")] = False,
) -> None:
    """Send traces of executions that end, until Ctrl-C. `dct up` runs this where DCT_OTLP_ENDPOINT is set.

    It begins with what ends after its first start, and goes on where it was. A collector that does not
    answer is tried again with growing pauses; nothing else waits for it."""
    from dct_pipelines.bootstrap.observed import trace_export_of
    from dct_pipelines.cli.session import services
    from dct_pipelines.cli.up import until_signal

    pause = LOOK_SECONDS
    with services() as built, until_signal() as stop:
        exporter = trace_export_of(built)
        while not stop.is_set():
            try:
                sent = exporter.turn()
            except (CollectorUnavailable, DatabaseUnavailable) as error:
                if once:
                    raise
                if pause == LOOK_SECONDS:
                    _log.warning("%s; it is tried again", error)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                stop.wait(pause)
                continue
            pause = LOOK_SECONDS
            if sent is not None:
                _tell(sent, json_output)
            elif once:
                return
            else:
                stop.wait(LOOK_SECONDS)


def _tell(sent: Sent, json_output: bool) -> None:
    if json_output:
        typer.echo(json.dumps({"executions": sent.executions, "spans": sent.spans}))
