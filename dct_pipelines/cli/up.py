"""`dct up`, and its parts alone: `dct listener start`, `dct engine start`, `dct monitor start`."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from dct_pipelines.domain.errors import DatabaseUnavailable, DctError

if TYPE_CHECKING:
    from dct_pipelines.cli.supervisor import Stack
    from dct_pipelines.engine.reading import TickReport
    from dct_pipelines.settings import Settings

listener = typer.Typer(help="Read what is watched.", no_args_is_help=True)
engine = typer.Typer(help="Decide, dispatch and carry out.", no_args_is_help=True)
monitor = typer.Typer(help="Dagster's web UI.", no_args_is_help=True)

STDERR = 2
UNWINDING = b"dct: told to end; what was begun is undone\n"

Json = Annotated[bool, typer.Option("--json", help="One JSON line when everything is ready.")]
Port = Annotated[int | None, typer.Option(help="Port of the web UI; if it is taken, the next free one.")]


def up(
    ui_port: Port = None,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Without Dagster's web UI.")] = False,
    json_output: Json = False,
) -> None:
    """Start everything and keep it running until Ctrl-C: database, code server, daemon, web UI."""
    _run(json_output, engine=True, ui=not no_ui, ui_port=ui_port)


@engine.command("start")
def start_engine(json_output: Json = False) -> None:
    """Start the code server and Dagster's daemon, which runs listeners, dispatch and executions."""
    _run(json_output, engine=True, ui=False, ui_port=None)


@monitor.command("start")
def start_monitor(ui_port: Port = None, json_output: Json = False) -> None:
    """Start Dagster's web UI; it uses the engine's code server when one runs."""
    _run(json_output, engine=False, ui=True, ui_port=ui_port)


@listener.command("start")
def start_listener(json_output: Json = False) -> None:
    """Read every connection that is due, in a loop, without Dagster.

    What fires waits in the database until an engine carries it out. Safe beside a running engine.
    """
    from dct_pipelines import registry
    from dct_pipelines.bootstrap import build
    from dct_pipelines.settings import load_settings

    settings = load_settings()
    app = build(settings).ready()
    for line in app.maintenance.begin():
        typer.echo(line, err=json_output)
    with until_signal() as stop:
        if json_output:
            typer.echo(json.dumps({"ready": True, "kinds": sorted(registry.listeners())}))
        while not stop.is_set():
            for kind in registry.listeners():
                look(app.listening.tick, kind, json_output)
            stop.wait(settings.trigger_polling_min_interval_ms / 1000)


def look(tick: Callable[[str], TickReport], kind: str, json_output: bool) -> None:
    """One turn of the listener's loop, which runs for months: what goes wrong is said, and tried again."""
    try:
        seen = tick(kind)
    except DatabaseUnavailable as error:
        typer.echo(f"{kind}: waiting for the database: {error}", err=True)
    except DctError as error:
        typer.echo(f"{kind}: {error}", err=True)
    else:
        if seen.events or seen.problems:
            typer.echo(f"{kind}: {seen}", err=json_output)


def _run(json_output: bool, *, engine: bool, ui: bool, ui_port: int | None) -> None:
    from dct_pipelines.cli.supervisor import running
    from dct_pipelines.settings import load_settings

    settings = load_settings()
    say = _sayer(settings, json_output)
    with until_signal() as stop:
        say("starting ...")
        with running(settings, engine=engine, ui=ui, ui_port=ui_port, say=say) as stack:
            _say_ready(stack, json_output, say)
            stop.wait()
            say("stopping ...")


def _sayer(settings: Settings, json_output: bool) -> Callable[[str], None]:
    """What the supervisor says, as the settings want logs: beside `--json` it is no part of the answer."""
    if not settings.logs_json:
        return lambda line: typer.echo(line, err=json_output)
    from dct_pipelines.clients import logs

    logs.install(as_json=True)
    return lambda line: typer.echo(logs.say_as_json(line, "dct_pipelines.up"), err=json_output)


def _say_ready(stack: Stack, json_output: bool, say: Callable[[str], None]) -> None:
    from dct_pipelines.cli.supervisor import log_directory

    logs = log_directory(stack.settings)
    if stack.pause is not None:
        typer.echo(f"! {stack.pause}", err=True)
    if json_output:
        facts = {"ready": True, "ui": stack.ui_url, "pids": stack.pids, "logs": str(logs)}
        typer.echo(json.dumps(facts | {"seconds": round(stack.seconds, 1)}))
        return
    say(f"ready after {stack.seconds:.1f} s: {', '.join(stack.pids)}")
    if stack.ui_url:
        say(f"Dagster: {stack.ui_url}")
    if stack.settings.metrics_port is not None:
        say(f"metrics: http://{stack.settings.metrics_host}:{stack.settings.metrics_port}/metrics")
    say(f"logs: {logs}    stop with Ctrl-C")


@contextmanager
def until_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and the end of the terminal set."""
    stop = threading.Event()
    with on_end(lambda *_: stop.set()):
        yield stop


@contextmanager
def on_end(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Call `handler` for each signal that asks us to end; a hang-up that `nohup` ignores stays ignored."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    wanted = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else []))
    earlier = {number: signal.signal(number, handler) for number in wanted}
    try:
        yield
    finally:
        for number, before in earlier.items():
            signal.signal(number, before)


@contextmanager
def unwinding() -> Iterator[None]:
    """Let a signal that asks us to end leave the block as an exception would, so that it puts its work right.

    Further ones are ignored: whoever is in a hurry has `kill -9`.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        with suppress(OSError):  # nobody may read it any more: what matters is to end
            os.write(STDERR, UNWINDING)  # not by Python's buffer, which may be in use at this moment
        raise SystemExit(128 + number)

    with on_end(leave):
        yield
