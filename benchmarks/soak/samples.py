"""What is looked at while a deployment is under load, every some seconds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from benchmarks.load.ground import Ground
from benchmarks.load.tree import ROLES
from benchmarks.load.workload import open_now

MEGABYTE = 2**20
POSTGRES = ROLES["postgres"]
_SESSIONS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
_TABLES = text("""
SELECT n.nspname || '.' || c.relname AS name, pg_total_relation_size(c.oid) AS bytes
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname IN ('dct', 'dagster', 'metrics')
""")


@dataclass
class Samples:
    """Series over `times` (seconds since the beginning). A role that is not there at a moment has 0 then."""

    times: list[float] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=dict)
    tables: dict[str, list[float]] = field(default_factory=dict)

    def add(self, at: float, values: Mapping[str, float]) -> None:
        """The values of one moment."""
        _append(self.series, values, len(self.times))
        self.times.append(at)

    def look(self, ground: Ground, at: float) -> None:
        """Take one sample; a moment at which the database does not answer is left out."""
        with suppress(DBAPIError):
            with ground.database.connect() as connection:
                sessions = connection.scalar(_SESSIONS) or 0
                tables = {row.name: row.bytes / MEGABYTE for row in connection.execute(_TABLES)}
            waiting = open_now(ground)
            memory, files, processes = ground.tree.memory(), ground.tree.files(), ground.tree.counts()
            home = ground.settings.home
            _append(self.tables, tables, len(self.times))
            self.add(
                at,
                {
                    **{f"memory of {role}": size for role, size in memory.items()},
                    "memory": sum(memory.values()),
                    **{f"files of {role}": float(count) for role, count in files.items()},
                    "files": float(sum(count for role, count in files.items() if role != POSTGRES)),
                    **{f"processes of {role}": float(count) for role, count in processes.items()},
                    "processes": float(sum(processes.values())),
                    "sessions": float(sessions),
                    "log": megabytes(home / "log"),
                    "disk": megabytes(home),
                    "open executions": float(waiting),
                },
            )


def megabytes(directory: Path) -> float:
    """What the files below a directory take; those that go meanwhile are not counted."""
    total = 0
    for path in directory.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size if not path.is_dir() else 0
    return total / MEGABYTE


def _append(series: dict[str, list[float]], values: Mapping[str, float], taken: int) -> None:
    for name in (*series, *(name for name in values if name not in series)):
        series.setdefault(name, [0.0] * taken).append(values.get(name, 0.0))
