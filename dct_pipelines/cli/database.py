"""`dct db`: the database's tables and, when it is the embedded one, its server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from dct_pipelines.cli.options import Json

if TYPE_CHECKING:
    from dct_pipelines.store.database import Database

app = typer.Typer(help="The database: migrate, verify, optimize, stop.", no_args_is_help=True)


@app.command("migrate")
def migrate(json_output: Json = False) -> None:
    """Bring the tables to this release, and make sure that there is a local administrator.

    An embedded database is migrated by every command by itself; one of your own (DCT_DATABASE_URL) only here.
    """
    from dct_pipelines.store.definitions import people
    from dct_pipelines.store.schema import migrate as bring_up

    def work(database: Database) -> list[str]:
        applied = bring_up(database)
        with database.begin() as connection:
            people.ensure_local_admin(connection)
        return applied

    _tell(work, json_output, "applied", "the tables are those of this release already")


@app.command("verify")
def verify(json_output: Json = False) -> None:
    """Name each difference between the tables and this release. Exit code 1 if there is one."""
    from dct_pipelines.store.schema import verify as compare

    if _tell(compare, json_output, "differences", "the tables are those of this release"):
        raise typer.Exit(1)


@app.command("optimize")
def optimize(json_output: Json = False) -> None:
    """Create missing indexes, rebuild broken ones, and let the database analyze its tables."""
    from dct_pipelines.store.schema import optimize as improve

    _tell(improve, json_output, "done", "there was nothing to do")


@app.command("stop")
def stop(json_output: Json = False) -> None:
    """Stop the embedded database; the next command starts it again. One of your own is left alone."""
    from dct_pipelines.cli.output import print_json, say
    from dct_pipelines.settings import load_settings
    from dct_pipelines.store.embedded import EmbeddedPostgres

    settings = load_settings()
    if settings.database_url is not None:
        stopped, told = False, "DCT_DATABASE_URL names a server of your own; it is left alone"
    else:
        stopped = EmbeddedPostgres(settings.home).stop()
        told = "stopped the embedded database" if stopped else "the embedded database does not run"
    if json_output:
        print_json({"stopped": stopped})
    else:
        say(told)


def _tell(work: Callable[[Database], list[str]], json_output: bool, key: str, nothing: str) -> list[str]:
    from dct_pipelines.cli.output import print_json, say
    from dct_pipelines.settings import load_settings
    from dct_pipelines.store.database import Database

    database = Database.open(load_settings())
    try:
        found = work(database)
    finally:
        database.dispose()
    if json_output:
        print_json({key: found})
    else:
        say("\n".join(found) or nothing)
    return found
