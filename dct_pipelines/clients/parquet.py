"""Metric tables as Parquet files: one file a day, `<home>/metrics/<table>/<grain>/<day>.parquet`.

A directory is one data set for any reader. A day without rows has its file too, and beside a file of hours
stands which of them were computed, in `.<day>.hours`: so what is missing can be told from what was quiet.
Files hold no moment of their making: the same rows give the same bytes.

pyarrow is imported where it is used: the processes that only define assets must not carry it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from dct_pipelines.clients.files import room_for
from dct_pipelines.domain.metrics import ColumnType, Grain, MetricColumn, MetricTable, Span

SUFFIX = ".parquet"
NAME = re.compile(rf"\d{{4}}-\d\d-\d\d{re.escape(SUFFIX)}")
DAY = Grain.DAY.length
ORDINARY_BYTES = 4 * 1024**2
"""More than the files of a day of most tables."""
Row = Mapping[str, Any]


class MetricFiles:
    """The files of one table at one grain."""

    def __init__(self, home: Path, table: MetricTable, grain: Grain) -> None:
        self._table = table
        self._grain = grain
        self.directory = home / "metrics" / table.name / grain.value

    def path(self, bucket: datetime) -> Path:
        """The file that holds a bucket."""
        return self.directory / f"{bucket:%Y-%m-%d}{SUFFIX}"

    def whole(self, span: Span) -> Span:
        """The span of the files that hold these buckets."""
        until = Grain.DAY.begin(span.until - span.grain.length) + DAY
        return Span(span.grain, Grain.DAY.begin(span.since), until)

    def try_room(self) -> None:
        """Fail where files of an ordinary size cannot be written now, as on a full disk."""
        self.directory.mkdir(parents=True, exist_ok=True)
        scratch = self.directory / f".room.{os.getpid()}"
        try:
            with room_for("metric files"):
                scratch.write_bytes(bytes(ORDINARY_BYTES))
        finally:
            scratch.unlink(missing_ok=True)

    def write(self, span: Span, rows: Iterable[Row]) -> int:
        """Replace the files that hold these buckets; returns how many bytes they have.

        `rows` are those of the `whole` span: a file is written from all that the table has of its day. A
        reader sees a file as it was or as it is. What a power cut takes is computed again.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        by_day: dict[datetime, list[Row]] = {day: [] for day in _days(self.whole(span))}
        for row in rows:
            by_day[Grain.DAY.begin(row["bucket"])].append(row)
        with room_for("metric files"):
            size = sum(
                self._replace(self.path(day), _content(self._table, own)) for day, own in by_day.items()
            )
            if self._grain is Grain.HOUR:
                for day in by_day:
                    self._note(day, span)
                    self._remove_hours_of(day)
        return size

    def missing(self, span: Span) -> list[datetime]:
        """The buckets of a span that were not computed, the oldest first."""
        there = self._computed()
        return [bucket for bucket in buckets(span) if bucket not in there]

    def extent(self) -> Span | None:
        """From the oldest to the newest bucket that were computed; None where none was."""
        there = self._computed()
        return Span(self._grain, min(there), max(there) + self._grain.length) if there else None

    def _computed(self) -> set[datetime]:
        with contextlib.suppress(FileNotFoundError):
            # one of no bytes is what a power cut may leave
            names = [path.stem for path in self.directory.iterdir() if _is_ours(path) and path.stat().st_size]
            days = [datetime.fromisoformat(f"{name}T00:00:00+00:00") for name in names]
            if self._grain is Grain.DAY:
                return set(days)
            return {day + timedelta(hours=hour) for day in days for hour in self._hours(day)}
        return set()

    def _hours(self, day: datetime) -> set[int]:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return set(map(int, self._note_of(day).read_text(encoding="ascii").split()))
        return set()

    def _note(self, day: datetime, span: Span) -> None:
        """After the file: of what is cut off in between, hours seem missing and are computed again."""
        within = {bucket.hour for bucket in buckets(span) if day <= bucket < day + DAY}
        hours = sorted(self._hours(day) | within)
        self._replace(self._note_of(day), " ".join(map(str, hours)).encode())

    def _remove_hours_of(self, day: datetime) -> None:
        """Files of one hour each, as builds before 0.1.0 wrote them: readers would have their rows twice."""
        for path in self.directory.glob(f"{day:%Y-%m-%d}T??Z{SUFFIX}"):
            path.unlink(missing_ok=True)

    def _note_of(self, day: datetime) -> Path:
        return self.directory / f".{day:%Y-%m-%d}.hours"

    def _replace(self, path: Path, content: Any) -> int:
        # Not made durable: thousands of files in one backfill, each of which can be made again.
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            scratch.write_bytes(content)
            scratch.replace(path)
        except OSError:
            scratch.unlink(missing_ok=True)
            raise
        return len(content)


def _is_ours(path: Path) -> bool:
    return NAME.fullmatch(path.name) is not None


def buckets(span: Span) -> Iterator[datetime]:
    """The begin of each bucket of a span."""
    bucket = span.since
    while bucket < span.until:
        yield bucket
        bucket += span.grain.length


def _days(span: Span) -> Iterator[datetime]:
    return buckets(Span(Grain.DAY, span.since, span.until))


def columns_of(table: MetricTable) -> tuple[MetricColumn, ...]:
    """The columns of the files: `bucket`, and those of the table."""
    bucket = MetricColumn("bucket", ColumnType.INSTANT, "Begin of the hour or day, in UTC", is_key=True)
    return (bucket, *table.columns)


def _content(table: MetricTable, rows: Sequence[Row]) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    schema = _schema(table)
    # Column by column, which takes a tenth of the time of what pyarrow does with rows.
    columns = [pa.array([row[field.name] for row in rows], type=field.type) for field in schema]
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_arrays(columns, schema=schema), sink, compression="snappy")
    return sink.getvalue()


@cache
def _schema(table: MetricTable) -> Any:
    import pyarrow as pa

    types = {
        ColumnType.TEXT: pa.string(),
        ColumnType.INTEGER: pa.int64(),
        ColumnType.NUMBER: pa.float64(),
        ColumnType.INSTANT: pa.timestamp("us", tz="UTC"),
    }
    fields = []
    for column in columns_of(table):
        kind = types[column.type]
        if column.is_key and column.type is ColumnType.TEXT:
            kind = pa.dictionary(pa.int32(), pa.string())
        said = {"description": column.description} | ({"unit": column.unit} if column.unit else {})
        fields.append(pa.field(column.name, kind, nullable=column.is_nullable, metadata=said))
    return pa.schema(fields, metadata={"description": table.description})
