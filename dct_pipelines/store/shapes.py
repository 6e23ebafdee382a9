"""The shapes that a code location loads: from the database, else as they were last read, else none.

Loading definitions must work while the database is down and before it exists, so this reads quickly, closes
again, and neither makes nor migrates anything.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.shapes import Shape
from dct_pipelines.store.database import Database
from dct_pipelines.store.engine import StoreSettings
from dct_pipelines.store.tables import connections, shapes

CACHE_FILE = "shapes.json"
_SHAPES: TypeAdapter[tuple[Shape, ...]] = TypeAdapter(tuple[Shape, ...])


@dataclass(frozen=True)
class KnownShapes:
    """The shapes that triggers use, and from where they are known: a sentence for the log.

    `kinds` are the kinds of connections that there are; None when nobody can tell.
    """

    shapes: tuple[Shape, ...]
    source: str
    kinds: frozenset[str] | None = None


def read_shapes(database: Database) -> tuple[Shape, ...]:
    """Every shape that a trigger has or had, oldest first."""
    with database.connect() as connection:
        rows = connection.execute(select(shapes.c.actions).order_by(shapes.c.created_at, shapes.c.job_name))
        return tuple(tuple(row.actions) for row in rows)


def read_kinds(database: Database) -> frozenset[str]:
    """The kinds of connections that there are."""
    with database.connect() as connection:
        return frozenset(connection.scalars(select(connections.c.kind).distinct()))


def known_shapes(settings: StoreSettings) -> KnownShapes:
    """Read them, or say why an older list has to do; a missing database is no error.

    `settings` should ask for one connection and a short statement timeout.
    """
    cache = settings.home / CACHE_FILE
    database = Database.open(settings, application="dct-definitions")
    try:
        if database.embedded is not None and not database.embedded.connect_arguments():
            return KnownShapes((), "no database yet: only built-in shapes")
        found, kinds = read_shapes(database), read_kinds(database)
    except (DctError, SQLAlchemyError) as error:
        return KnownShapes(_cached(cache), f"as last read, since the database gave none ({_short(error)})")
    finally:
        database.dispose()
    _remember(cache, found)
    return KnownShapes(found, "read from the database", kinds)


def _cached(path: Path) -> tuple[Shape, ...]:
    try:
        return _SHAPES.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return ()


def _remember(path: Path, found: tuple[Shape, ...]) -> None:
    """Replace the file as a whole, and only when something changed; a full disk must not stop a load."""
    if _cached(path) == found:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(found, file)
        Path(scratch).replace(path)
    except OSError:
        return


def _short(error: Exception) -> str:
    return str(error).partition("\n")[0]
