"""`dct listen`: long-lived connections to providers that push, for as long as the process lives."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dct_pipelines.cli.up import until_signal
from dct_pipelines.domain.errors import DatabaseUnavailable, NotFound

if TYPE_CHECKING:
    from dct_pipelines.bootstrap.sockets import Sockets
    from dct_pipelines.clients.slack.socket import SlackSocket

Say = Callable[[str], None]
LOOK_SECONDS = 10.0
"""After each of these, connections that came, went or changed are taken up."""
app = typer.Typer(help="Keep connections open to providers that push.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Keep connections open to providers that push."""


@app.command("slack")
def slack(
    connection: Annotated[
        str | None, typer.Argument(help="One Slack connection; without it, all that have an app_token.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Each line of the log as JSON.")] = False,
) -> None:
    """Receive Slack's events over Socket Mode until Ctrl-C. `dct up` runs this by itself.

    Each event is stored before Slack is told that it arrived; after each (re)connection the history is read.
    """
    from dct_pipelines.bootstrap.sockets import Sockets
    from dct_pipelines.cli.session import services

    with services() as built, until_signal() as stop, ExitStack() as ends:
        sockets = Sockets(built)
        if connection is not None and not any(one.name == connection for one in sockets.wanted().values()):
            raise NotFound(
                f"there is no enabled Slack connection {connection!r} with an app_token; see "
                "`dct connection list`"
            )
        standing: dict[str, SlackSocket] = {}
        say = partial(_say, json_output)
        ends.callback(_close, standing, say)
        while True:
            _take_up(sockets, standing, connection, say)
            if stop.wait(LOOK_SECONDS):
                break


def _take_up(sockets: Sockets, standing: dict[str, SlackSocket], only: str | None, say: Say) -> None:
    """Start sockets of connections that are wanted, and end those of others."""
    try:
        wanted = sockets.wanted()
    except DatabaseUnavailable as error:
        say(f"waiting for the database: {error}")
        return
    for key in [key for key in standing if key not in wanted]:
        standing.pop(key).close()
    for key, source in wanted.items():
        if key not in standing and only in (None, source.name):
            standing[key] = sockets.open(source, say)
            standing[key].start()
            say(f"{source.name}: connecting")


def _close(standing: dict[str, SlackSocket], say: Say) -> None:
    for socket in standing.values():
        socket.close()
    say("ended")


def _say(as_json: bool, line: str) -> None:
    typer.echo(json.dumps({"said": line}, ensure_ascii=False) if as_json else line)
