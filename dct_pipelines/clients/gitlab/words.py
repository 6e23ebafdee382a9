"""GitLab's words for how a pipeline or job stands, in ours, and the other way round."""

from __future__ import annotations

from dct_pipelines.clients.gitlab.shapes import Status
from dct_pipelines.domain.words import CheckState

_STATES = {
    "success": CheckState.SUCCESS,
    "failed": CheckState.FAILURE,
    "canceled": CheckState.CANCELLED,
    "skipped": CheckState.SKIPPED,
}
"""Everything else is not over: created, waiting_for_resource, preparing, waiting_for_callback, pending,
running, canceling, manual, scheduled.

Source: https://docs.gitlab.com/api/pipelines/#list-project-pipelines
"""

_REPORTED = {
    CheckState.PENDING: "pending",
    CheckState.SUCCESS: "success",
    CheckState.FAILURE: "failed",
    CheckState.CANCELLED: "canceled",
    CheckState.SKIPPED: "skipped",
    CheckState.NEUTRAL: "skipped",
}


def pipeline_state(status: str) -> CheckState:
    """How a pipeline stands. One that waits for somebody to press a button is not over."""
    return _STATES.get(status, CheckState.PENDING)


def check_state(status: Status) -> CheckState:
    """How a job stands. One that may fail does not count when it failed, nor when nobody started it."""
    if status.allow_failure and status.status == "failed":
        return CheckState.NEUTRAL
    if status.allow_failure and status.status == "manual":
        return CheckState.SKIPPED
    return pipeline_state(status.status)


def reported_state(state: CheckState) -> str:
    """What we tell GitLab of a check of ours; it knows no neutral end."""
    return _REPORTED[state]
