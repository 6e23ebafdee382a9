"""What is checked of every metric table as it is materialized, and how a fault is shown.

Each check looks at the rows of one slice of the run's span at a time and says its faults in words; they are
put together at the end. Checks stop nothing: an analyst sees them beside the numbers, and alerts read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg

from dct_pipelines.assets.shown import plain
from dct_pipelines.clients.parquet import buckets
from dct_pipelines.domain.metrics import MetricTable, Span

MOST_SHOWN = 10
DURATIONS = frozenset({"ms", "s", "min", "h", "d"})
"""Units of columns that are spans of time."""
PERCENT = "%"
QUOTAS = "resource_utilization"


@dataclass(frozen=True)
class Slice:
    """Some buckets of a table as they were read back.

    `counted` are the executions of each bucket; None where nobody can count them any more. `missing` are
    buckets without a file or without rows, between the oldest and the newest that have a file.
    """

    table: MetricTable
    span: Span
    rows: Sequence[Mapping[str, Any]]
    counted: Mapping[datetime, int] | None = None
    missing: Sequence[datetime] = ()


@dataclass(frozen=True)
class Check:
    """A check of tables that it `fits`; `faults` are sentences. `advice` is what to do about one."""

    name: str
    description: str
    severity: dg.AssetCheckSeverity
    advice: str
    fits: Callable[[MetricTable], bool]
    faults: Callable[[Slice], Iterator[str]]


def _sums(part: Slice) -> Iterator[str]:
    if part.counted is None:
        return
    found: dict[datetime, int] = dict.fromkeys(buckets(part.span), 0)
    for row in part.table.of_whole(part.rows):
        found[row["bucket"]] += row[part.table.counts]
    for bucket, total in found.items():
        if total != (wanted := part.counted.get(bucket, 0)):
            yield f"{_at(bucket)}: {total} in the table, {wanted} executions ended"


def _gaps(part: Slice) -> Iterator[str]:
    for bucket in part.missing:
        yield f"{_at(bucket)} is missing"


def _negative(part: Slice) -> Iterator[str]:
    yield from _where(part, DURATIONS, lambda value: value < 0)


def _beyond_quota(part: Slice) -> Iterator[str]:
    yield from _where(part, {PERCENT}, lambda value: value > 100)


CHECKS = (
    Check(
        "sums_match_executions",
        "The counts of a bucket add up to the executions that ended in it, counted by a query of its own.",
        dg.AssetCheckSeverity.ERROR,
        "materialize these partitions again; if it stays so, the metric is wrong: report it",
        lambda table: bool(table.counts),
        _sums,
    ),
    Check(
        "no_gap",
        "No bucket between the oldest and the newest is missing in the table or in the files.",
        dg.AssetCheckSeverity.WARN,
        "materialize the missing partitions of this asset",
        lambda table: True,
        _gaps,
    ),
    Check(
        "no_negative_durations",
        "Nothing takes less than no time.",
        dg.AssetCheckSeverity.ERROR,
        "a clock was set back, or a time is stored wrongly: compare the times of the executions named here",
        lambda table: _has(table, DURATIONS),
        _negative,
    ),
    Check(
        "quota_not_exceeded",
        "Never is more in use than the quota allows.",
        dg.AssetCheckSeverity.WARN,
        "no fault if the quota was lowered while more was in use; else `dct status` says who holds the slots",
        lambda table: table.name == QUOTAS and _has(table, {PERCENT}),
        _beyond_quota,
    ),
)


class Findings:
    """Gathers what the checks of one table find, slice by slice."""

    def __init__(self, table: MetricTable) -> None:
        self._checks = checks_of(table)
        self._faults: dict[str, int] = dict.fromkeys((check.name for check in self._checks), 0)
        self._shown: dict[str, list[str]] = {check.name: [] for check in self._checks}

    def look(self, part: Slice) -> None:
        """Take in another slice."""
        for check in self._checks:
            for fault in check.faults(part):
                self._faults[check.name] += 1
                if len(self._shown[check.name]) < MOST_SHOWN:
                    self._shown[check.name].append(fault)

    def results(self) -> list[dg.AssetCheckResult]:
        """A result of each check."""
        return [self._result(check) for check in self._checks]

    def _result(self, check: Check) -> dg.AssetCheckResult:
        count, shown = self._faults[check.name], self._shown[check.name]
        metadata: dict[str, Any] = {"faults": count}
        if count:
            more = [f"and {count - len(shown)} more"] if count > len(shown) else []
            metadata["what"] = dg.MetadataValue.md("\n".join(f"- {plain(line)}" for line in [*shown, *more]))
            metadata["what to do"] = check.advice
        return dg.AssetCheckResult(
            check_name=check.name,
            passed=not count,
            severity=check.severity,
            description=f"{count} faults; {check.advice}" if count else None,
            metadata=metadata,
        )


def checks_of(table: MetricTable) -> tuple[Check, ...]:
    """The checks that fit a table."""
    return tuple(check for check in CHECKS if check.fits(table))


def _has(table: MetricTable, units: frozenset[str] | set[str]) -> bool:
    return any(column.unit in units for column in table.columns)


def _where(part: Slice, units: frozenset[str] | set[str], is_wrong: Callable[[float], bool]) -> Iterator[str]:
    columns = [column for column in part.table.columns if column.unit in units]
    for row in part.rows:
        for column in columns:
            if (value := row[column.name]) is not None and is_wrong(value):
                keys = ", ".join(f"{key} {row[key]}" for key in part.table.keys)
                yield f"{_at(row['bucket'])}: {column.name} is {value:g} {column.unit} ({keys})"


def _at(bucket: datetime) -> str:
    return bucket.strftime("%Y-%m-%d %H:%M")
