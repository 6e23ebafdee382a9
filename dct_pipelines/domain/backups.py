"""What a backup says of itself: its manifest, the last file in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from dct_pipelines.domain.facts import Fact

FORMAT = 1
DUMP = "database.dump"
MANIFEST = "manifest.json"
FILES = "home/"
"""Before the name of what lies below the home."""


class TablePrint(Fact):
    """What a table held at the moment of the snapshot: how many rows, and a sum over all of them.

    The sum does not depend on the order of the rows.
    """

    rows: int
    checksum: str


class FilePrint(Fact):
    """A file in the backup: its size and the SHA-256 of its content."""

    bytes: int
    sha256: str


class Manifest(Fact):
    """A backup: whose it is, as of when, and what everything in it has to be.

    `release` is the product's, `revision` that of the tables, `postgres` the server's major version. `home`
    is where the deployment's files lay; None where an older release made the backup, which did not say.
    `left_out` says how many files and directories of workspaces could not be taken along, and
    `left_out_because` of the first of them why.
    """

    format: int
    id: UUID
    as_of: datetime
    release: str
    revision: str
    postgres: int
    home: str | None = None
    schemas: tuple[str, ...]
    tables: dict[str, TablePrint]
    files: dict[str, FilePrint]
    left_out: int = 0
    left_out_because: Mapping[str, str] = {}

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(one.rows for one in self.tables.values())


class Dependant(Fact):
    """Something outside of our schemas that would go with what a restore replaces, with its kind."""

    name: str
    owner: str | None

    def __str__(self) -> str:
        return f"{self.name} (of {self.owner})" if self.owner else self.name


class Grant(Fact):
    """What somebody may do with something of ours that they do not own; names are quoted as SQL wants them.

    `kind` is SCHEMA, TABLE, SEQUENCE, or DEFAULT for what is granted on what `name` will make. `part` is a
    column, or for DEFAULT the kind of what is made.
    """

    kind: Literal["SCHEMA", "TABLE", "SEQUENCE", "DEFAULT"]
    schema_name: str
    name: str | None
    part: str | None
    privileges: tuple[str, ...]
    grantee: str
    may_grant: bool
    is_partition: bool

    def __str__(self) -> str:
        of = {
            "SCHEMA": f"schema {self.schema_name}",
            "DEFAULT": f"{(self.part or '').lower()} that {self.name} will make in {self.schema_name}",
        }.get(self.kind, f"{self.schema_name}.{self.name}")
        column = f", column {self.part}," if self.part and self.kind == "TABLE" else ""
        return f"{', '.join(self.privileges)} on {of}{column} to {self.grantee}"
