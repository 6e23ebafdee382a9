"""The `dct` command: what its errors look like, and its exit codes. Its parts are named in `parts`."""

from __future__ import annotations

import atexit
import gc
import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from dct_pipelines.cli.parts import Parts
from dct_pipelines.domain.errors import DctError, InvalidInput

EXIT_CODES = """Exit codes: 0 done · 1 failed · 2 invalid input, nothing was changed · 3 not permitted ·
4 the database is not available or does not fit this release."""

COLLECT_AFTER = 50_000
"""Objects more than at the last time, after which Python looks for garbage while a command runs."""

app = typer.Typer(
    name="dct",
    cls=Parts,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Dynamic Context Triggers: watches where a team works, and starts work when something changes.",
    epilog=EXIT_CODES,
)


def _version(wanted: bool) -> None:
    if wanted:
        from dct_pipelines import __version__

        typer.echo(f"dct {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an unexpected error came from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the release.")
    ] = False,
) -> None:
    """Options that stand before the command."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every error becomes a message on stderr and an exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in given
    try:
        # typer draws a frame around a wrong option; whoever asked for JSON gets that as JSON, too
        with _seldom_collecting():
            sys.exit(app(args=given, standalone_mode=not as_json))
    except DctError as error:
        _tell(error, as_json)
        sys.exit(error.exit_code)
    except typer.Abort:
        sys.exit(1)
    except typer.TyperException as error:
        said = error.format_message() if isinstance(error, typer.BadParameter) else str(error)
        _tell_json("InvalidInput", said, InvalidInput.exit_code)
        sys.exit(InvalidInput.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last line of defence; a traceback helps nobody by itself
        if "--debug" in given:
            traceback.print_exc()
        hint = "" if "--debug" in given else "; `dct --debug ...` shows where"
        typer.echo(f"dct: an unexpected error: {type(error).__name__}: {error}{hint}", err=True)
        sys.exit(1)


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """A command loads much and leaves little garbage.

    To look through all of it again and again, and once more at the end of the process, would be a quarter of
    what a short one costs.
    """
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *before[1:])
    atexit.register(gc.freeze)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _tell(error: DctError, as_json: bool) -> None:
    if not as_json:
        typer.echo(f"dct: {error}", err=True)
        return
    faults = [
        {"file": one.file, "line": one.line, "path": list(one.path), "message": one.message}
        for one in getattr(error, "faults", ())
    ]
    more = {"faults": faults} if faults else {}
    _tell_json(type(error).__name__, str(error), error.exit_code, **more)


def _tell_json(error: str, message: str, exit_code: int, **more: Any) -> None:
    told = {"error": error, "message": message, "exit_code": exit_code, **more}
    typer.echo(json.dumps(told, ensure_ascii=False), err=True)


if __name__ == "__main__":
    main()
