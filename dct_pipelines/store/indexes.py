"""What has to be done so that a schema has the indexes that it should have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dct_pipelines.store.catalog import Catalog, Index


@dataclass(frozen=True)
class Repair:
    """`statements` are run one by one, outside a transaction; `sentence` says what they did."""

    sentence: str
    statements: tuple[str, ...]


def repairs(found: Catalog, expected: Catalog, schema: str) -> Iterator[Repair]:
    """Yield what to do for the tables that both catalogs have."""
    for table, name in sorted(found.indexes.keys() | expected.indexes.keys()):
        if table in found.tables and table in expected.tables:
            is_now, should_be = found.indexes.get((table, name)), expected.indexes.get((table, name))
            place = _Place(schema, f"index {name} of {schema}.{table}", name, found.partitions.get(table, ()))
            yield from _repair(is_now, should_be, place)


@dataclass(frozen=True)
class _Place:
    """Where an index is, how it is called, and the partitions of its table if it has some."""

    schema: str
    label: str
    name: str
    partitions: Sequence[str]

    def built(self, index: Index) -> tuple[str, ...]:
        return index.statements(self.schema, self.partitions)


def _repair(is_now: Index | None, should_be: Index | None, place: _Place) -> Iterator[Repair]:
    label = place.label
    quoted = '{}."{}"'.format(place.schema, place.name.replace('"', '""'))
    drop = f"DROP INDEX {'' if place.partitions else 'CONCURRENTLY '}{quoted}"
    backs_constraint = any(index is not None and index.backs_constraint for index in (is_now, should_be))
    if is_now is not None and not is_now.is_valid and place.partitions and should_be and not backs_constraint:
        yield Repair(f"rebuilt the invalid {label}", (drop, *place.built(should_be)))
    elif is_now is not None and not is_now.is_valid and (backs_constraint or should_be is not None):
        yield Repair(f"rebuilt the invalid {label}", (f"REINDEX INDEX CONCURRENTLY {quoted}",))
    elif is_now is not None and not is_now.is_valid:
        yield Repair(f"dropped the invalid left-over {label}", (drop,))
    elif backs_constraint or should_be is None:
        return
    elif is_now is None:
        yield Repair(f"built the missing {label}", place.built(should_be))
    elif is_now.definition != should_be.definition:
        yield Repair(f"replaced the changed {label}", (drop, *place.built(should_be)))
