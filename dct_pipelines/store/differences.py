"""How two catalogs differ, in words."""

from __future__ import annotations

from collections.abc import Iterator

from dct_pipelines.store.catalog import Catalog


def differences(found: Catalog, expected: Catalog, schema: str) -> Iterator[str]:
    """Yield one sentence for each thing that is missing, not ours, or different."""
    for table in sorted(expected.tables - found.tables):
        yield f"table {schema}.{table} is missing"
    for table in sorted(found.tables - expected.tables):
        yield f"table {schema}.{table} is not one of this release"
    common = found.tables & expected.tables
    yield from _columns(found, expected, schema, common)
    yield from _constraints(found, expected, schema, common)
    yield from _indexes(found, expected, schema, common)


def _columns(found: Catalog, expected: Catalog, schema: str, tables: frozenset[str]) -> Iterator[str]:
    for table, name in sorted(found.columns.keys() | expected.columns.keys()):
        if table not in tables:
            continue
        label = f"column {schema}.{table}.{name}"
        is_now, should_be = found.columns.get((table, name)), expected.columns.get((table, name))
        if is_now is None:
            yield f"{label} is missing: {should_be}"
        elif should_be is None:
            yield f"{label} is not one of this release: {is_now}"
        elif is_now != should_be:
            yield f"{label} is {is_now}, and should be {should_be}"


def _constraints(found: Catalog, expected: Catalog, schema: str, tables: frozenset[str]) -> Iterator[str]:
    for table, name in sorted(found.constraints.keys() | expected.constraints.keys()):
        if table not in tables:
            continue
        is_now, should_be = found.constraints.get((table, name)), expected.constraints.get((table, name))
        if is_now is None and should_be is not None:
            yield f"{should_be.kind} {name} of {schema}.{table} is missing: {should_be.definition}"
        elif should_be is None and is_now is not None:
            yield f"{is_now.kind} {name} of {schema}.{table} is not one of this release: {is_now.definition}"
        elif is_now and should_be and is_now != should_be:
            yield (
                f"{is_now.kind} {name} of {schema}.{table} is {is_now.definition}, "
                f"and should be {should_be.definition}"
            )


def _indexes(found: Catalog, expected: Catalog, schema: str, tables: frozenset[str]) -> Iterator[str]:
    for table, name in sorted(found.indexes.keys() | expected.indexes.keys()):
        is_now, should_be = found.indexes.get((table, name)), expected.indexes.get((table, name))
        if table not in tables:
            continue
        label = f"index {name} of {schema}.{table}"
        if is_now is not None and not is_now.is_valid:
            yield f"{label} is invalid, its building was cut off: run `dct db optimize`"
        elif any(index is not None and index.backs_constraint for index in (is_now, should_be)):
            continue
        elif is_now is None and should_be is not None:
            yield f"{label} is missing: run `dct db optimize`"
        elif should_be is None and is_now is not None:
            yield f"{label} is not one of this release: {is_now.definition}"
        elif is_now and should_be and is_now.definition != should_be.definition:
            yield f"{label} is {is_now.definition}, not {should_be.definition}: run `dct db optimize`"
