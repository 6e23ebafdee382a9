"""Dumps of the database: one snapshot by `pg_dump`, its fingerprint, and putting it back by `pg_restore`.

Belongs here: which program of PostgreSQL is used, how it is told where the server is, what a table holds.
Does not belong here: the file around the dump, and what a restored deployment may do.
"""

from dct_pipelines.store.dumps.beside import give_back
from dct_pipelines.store.dumps.programs import Server, server_of
from dct_pipelines.store.dumps.putting_back import (
    Replaced,
    beside,
    content,
    left_aside,
    others,
    put_back,
    require_programs,
)
from dct_pipelines.store.dumps.taking import Snapshot, fingerprint, snapshot
from dct_pipelines.store.dumps.ways import Way, by_script, directly

__all__ = [
    "Replaced",
    "Server",
    "Snapshot",
    "Way",
    "beside",
    "by_script",
    "content",
    "directly",
    "fingerprint",
    "give_back",
    "left_aside",
    "others",
    "put_back",
    "require_programs",
    "server_of",
    "snapshot",
]
