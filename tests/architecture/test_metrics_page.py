"""docs/reference/metrics.md says of every metric table and column what the table itself says."""

from __future__ import annotations

import pytest

from dct_pipelines.domain.metrics import MetricColumn, MetricTable
from dct_pipelines.store.metrics.catalog import METRICS
from tests.architecture.tree import reference_page, sections

TABLES = {name: metric.table for name, metric in METRICS.items()}


def described(column: MetricColumn) -> str:
    """The row of the page that stands for a column."""
    kind = "key" if column.is_key else column.type.value
    return f"| `{column.name}` | {kind} | {column.unit} | {column.description} |"


def test_the_page_has_a_section_for_every_table_and_no_other():
    assert list(sections(reference_page("metrics"))) == list(TABLES)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_page_describes_every_column_of_a_table_and_no_other(table: MetricTable):
    section = sections(reference_page("metrics"))[table.name]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [described(column) for column in table.columns]
    assert section.lstrip().startswith(table.description)
    assert ("By day only." in section) is (len(table.grains) == 1)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_names_its_own_columns_and_tables_and_gives_numbers_their_unit(table: MetricTable):
    names = {column.name for column in table.columns}
    assert set(table.plotted) | {key for key, _ in table.whole} | ({table.counts} - {""}) <= names
    assert set(table.sources) <= set(list(TABLES)[: list(TABLES).index(table.name)])
    assert [
        one.name for one in table.columns if one.type.value in ("integer", "number") and not one.unit
    ] == []
