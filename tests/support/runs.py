"""Runs of Dagster as its daemon makes them, without anything that carries them out."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.test_utils import create_run_for_test


@dg.job
def a_job() -> None:
    """Stands for any job."""


def a_run(
    instance: dg.DagsterInstance,
    status: str,
    tags: Mapping[str, str] | None = None,
    assets: frozenset[dg.AssetKey] | None = None,
) -> dg.DagsterRun:
    """A run in that state; a queued one has to say where its job is."""
    location = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("dct_pipelines"), "__repository__")
    return create_run_for_test(
        instance,
        "job",
        status=dg.DagsterRunStatus(status),
        tags=tags,
        asset_selection=assets,
        remote_job_origin=RemoteJobOrigin(location, "job"),
        job_code_origin=dg.reconstructable(a_job).get_python_origin(),
    )
