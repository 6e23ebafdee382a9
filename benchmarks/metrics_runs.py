"""The runs of both metric jobs, one after the other, each in a process of its own as a worker carries it out.

Called by `benchmarks.metrics`; as a program it is one of these processes: `JOB FIRST LAST`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from dct_pipelines.assets.build import GROUPS
from dct_pipelines.assets.partitions import key_of
from dct_pipelines.assets.scheduling import RANGE
from dct_pipelines.domain.metrics import Grain, Span


def runs(root: Path, spans: Mapping[Grain, Span]) -> dict[str, Any]:
    """Of each its seconds, and the most MiB that its process had."""
    us = os.environ | {"DAGSTER_HOME": str(root)}
    us["DCT_METRICS_SINCE"] = f"{min(span.since for span in spans.values()):%Y-%m-%d}"
    found = {}
    for grain, span in spans.items():
        ends = key_of(grain, span.since), key_of(grain, span.until - grain.length)
        command = [sys.executable, "-m", "benchmarks.metrics_runs", GROUPS[grain], *ends]
        done = subprocess.run(command, env=us, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        found[grain.value] = json.loads(done.stdout)
    return found


def carry_out(job: str, first: str, last: str) -> dict[str, Any]:
    """One run of a job for these partitions, in this process."""
    from dct_pipelines.definitions import defs
    from dct_pipelines.instance import levers

    levers.pull_all()
    begun = time.perf_counter()
    with dg.DagsterInstance.get() as instance:
        definition = defs().resolve_job_def(job)
        definition.execute_in_process(instance=instance, tags=dict(zip(RANGE, (first, last), strict=True)))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": round(time.perf_counter() - begun, 1), "mib": round(most / 1024)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(carry_out(*sys.argv[1:])))
