"""Column shorthands that every table shares: ids, times, JSON, references, enumerations."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKey, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from dct_pipelines.store.texts import Words

metadata = MetaData(
    schema="dct",
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def uuid_key() -> Column[Any]:
    """The primary key `id`, made by us or by the database."""
    return Column("id", UUID(as_uuid=True), primary_key=True, server_default=text("gen_random_uuid()"))


def reference(
    name: str, target: str, *, nullable: bool = False, index: bool = True, ondelete: str | None = None
) -> Column[Any]:
    """A foreign key to `target`'s `id`, indexed."""
    return Column(
        name,
        UUID(as_uuid=True),
        ForeignKey(f"dct.{target}.id", ondelete=ondelete),
        nullable=nullable,
        index=index,
    )


def instant(name: str, *, nullable: bool = True, now: bool = False) -> Column[Any]:
    """A moment, UTC and aware; `now` fills it when the row is made."""
    return Column(
        name,
        DateTime(timezone=True),
        nullable=nullable and not now,
        server_default=text("clock_timestamp()") if now else None,
    )


def json(name: str, *, default: str | None = "{}") -> Column[Any]:
    """JSON that our models validate; `default` None makes it nullable."""
    server_default = text(f"'{default}'::jsonb") if default is not None else None
    return Column(name, JSONB(none_as_null=True), nullable=default is None, server_default=server_default)


def words(name: str, *, nullable: bool = False, default: str | None = None) -> Column[Any]:
    """Text."""
    return Column(
        name, Words(), nullable=nullable, server_default=text(f"'{default}'") if default is not None else None
    )


def one_of(column: str, values: Iterable[StrEnum], name: str | None = None) -> CheckConstraint:
    """A CHECK that the column holds one of an enumeration's values."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name or f"{column}_known")
