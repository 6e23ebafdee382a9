"""What PostgreSQL itself says that a schema holds, in a form that two schemas can be compared by.

The models are compared by having PostgreSQL build them in a scratch schema: then CHECK constraints, defaults,
partial indexes and types are written alike on both sides, by PostgreSQL, and nothing needs to be parsed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, MetaData, text

CONSTRAINT_KINDS = {
    "c": "check constraint",
    "f": "foreign key",
    "p": "primary key",
    "u": "unique constraint",
    "x": "exclusion constraint",
}
COLUMNS = """
SELECT t.relname, a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
       CASE WHEN a.attnotnull THEN 'NOT NULL' END,
       CASE WHEN a.attidentity <> '' THEN 'IDENTITY ' || a.attidentity::text END,
       CASE WHEN a.attgenerated <> '' THEN 'GENERATED' END,
       'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid))
FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
WHERE t.relnamespace = to_regnamespace(:schema) AND t.relkind IN ('r', 'p') AND NOT t.relispartition
"""
CONSTRAINTS = """
SELECT t.relname, c.conname, c.contype, pg_get_constraintdef(c.oid)
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
WHERE t.relnamespace = to_regnamespace(:schema) AND NOT t.relispartition AND c.contype = ANY(:kinds)
"""
INDEXES = """
SELECT t.relname, i.relname, pg_get_indexdef(x.indexrelid), x.indisvalid,
       EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = x.indexrelid AND c.contype <> 'f')
FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
WHERE t.relnamespace = to_regnamespace(:schema) AND NOT t.relispartition
"""
PARTITIONS = """
SELECT t.relname, array_agg(p.relname::text ORDER BY p.relname) AS partitions
FROM pg_inherits JOIN pg_class t ON t.oid = inhparent JOIN pg_class p ON p.oid = inhrelid
WHERE t.relnamespace = to_regnamespace(:schema) AND t.relkind = 'p' GROUP BY 1
"""

Named = tuple[str, str]
"""Table and name."""


@dataclass(frozen=True)
class Constraint:
    """`kind` in words; `definition` as PostgreSQL writes it."""

    kind: str
    definition: str


@dataclass(frozen=True)
class Index:
    """`definition` leaves out the schema; one that backs a constraint cannot be dropped alone."""

    definition: str
    is_valid: bool
    backs_constraint: bool

    def statements(self, schema: str, partitions: Sequence[str]) -> tuple[str, ...]:
        """Return the statements that build it in `schema` without stopping writers.

        That of a partitioned table is built partition by partition, and is there once all are joined to it.
        """
        head, _, rest = self.definition.partition(" ON ")
        concurrently = head.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)
        if not partitions:
            return (f"{concurrently} ON {schema}.{rest}",)
        _, _, how = rest.partition(" ")
        name = head.rpartition(" ")[2]
        built = [f"{head} ON ONLY {schema}.{rest}"]
        for partition in partitions:
            part = f"{name}_of_{partition}"
            built += [
                f"DROP INDEX IF EXISTS {schema}.{part}",
                f"{concurrently.removesuffix(name)}{part} ON {schema}.{partition} {how}",
                f"ALTER INDEX {schema}.{name} ATTACH PARTITION {schema}.{part}",
            ]
        return tuple(built)


@dataclass(frozen=True)
class Catalog:
    """Tables and what belongs to them."""

    columns: Mapping[Named, str]
    constraints: Mapping[Named, Constraint]
    indexes: Mapping[Named, Index]
    partitions: Mapping[str, Sequence[str]]
    """By partitioned table; partitions are not compared, their number changes with the months."""

    @property
    def tables(self) -> frozenset[str]:
        return frozenset(table for table, _ in self.columns)

    def without(self, table: str) -> Catalog:
        """Leave out one table, Alembic's own."""
        return Catalog(
            {key: value for key, value in self.columns.items() if key[0] != table},
            {key: value for key, value in self.constraints.items() if key[0] != table},
            {key: value for key, value in self.indexes.items() if key[0] != table},
            self.partitions,
        )


def read_catalog(connection: Connection, schema: str) -> Catalog:
    """Read what `schema` holds, within a transaction. Names inside the schema come without it."""
    connection.execute(text("SELECT set_config('search_path', :schema, true)"), {"schema": schema})
    named = {"schema": schema}
    kinds = {"kinds": list(CONSTRAINT_KINDS)}
    return Catalog(
        {(table, name): column for table, name, column in connection.execute(text(COLUMNS), named)},
        {
            (table, name): Constraint(CONSTRAINT_KINDS[kind], definition)
            for table, name, kind, definition in connection.execute(text(CONSTRAINTS), named | kinds)
        },
        {
            (table, name): Index(_within(schema, definition), is_valid, backs_constraint)
            for table, name, definition, is_valid, backs_constraint in connection.execute(
                text(INDEXES), named
            )
        },
        {row.relname: row.partitions for row in connection.execute(text(PARTITIONS), named)},
    )


def _within(schema: str, definition: str) -> str:
    """Without the schema, and without the `ONLY` that the index of a partitioned table is written with."""
    return definition.replace(f" ON ONLY {schema}.", " ON ", 1).replace(f" ON {schema}.", " ON ", 1)


def catalog_of(metadata: MetaData, connection: Connection) -> Catalog:
    """Have PostgreSQL build `metadata` in a scratch schema, read that, and undo it; within a transaction."""
    scratch = f"{metadata.schema}_scratch_{os.getpid()}"
    with connection.begin_nested() as undone:
        connection.execute(text(f"CREATE SCHEMA {scratch}"))
        metadata.create_all(
            connection.execution_options(schema_translate_map={metadata.schema: scratch}), checkfirst=False
        )
        found = read_catalog(connection, scratch)
        undone.rollback()
    return found
