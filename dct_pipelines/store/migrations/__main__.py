"""Write the next revision from what the tables say now: `python -m dct_pipelines.store.migrations "why"`.

For developers; works on a scratch database of its own. Alembic does not compare CHECK constraints: the test
that `dct db verify` finds nothing after a migration names those that have to be added by hand.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from dct_pipelines.store.database import Database
from dct_pipelines.store.embedded import EmbeddedPostgres
from dct_pipelines.store.schema import alembic_config, migrate


def write_revision(message: str) -> None:
    """Write the migration from the newest revision to the models into the tree."""
    with tempfile.TemporaryDirectory(prefix="dct-revision-") as scratch:
        Path(scratch).chmod(0o711)
        server = EmbeddedPostgres(Path(scratch) / "home")
        database = Database(create_engine(server.ensure()), server)
        try:
            migrate(database)
            with database.begin() as connection:
                config = alembic_config(connection)
                number = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
                command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
        finally:
            database.dispose()
            server.stop()


if __name__ == "__main__":
    write_revision(" ".join(sys.argv[1:]))
