"""Gitea's words for how a check or a run stands, in ours, and the other way round."""

from __future__ import annotations

from dct_pipelines.clients.gitea.shapes import WorkflowRun
from dct_pipelines.domain.words import CheckState

_STATES = {
    "success": CheckState.SUCCESS,
    "error": CheckState.FAILURE,
    "failure": CheckState.FAILURE,
    "warning": CheckState.NEUTRAL,
    "skipped": CheckState.SKIPPED,
}
_CONCLUSIONS = {
    "success": CheckState.SUCCESS,
    "failure": CheckState.FAILURE,
    "cancelled": CheckState.CANCELLED,
    "skipped": CheckState.SKIPPED,
}
_REPORTED = {
    CheckState.PENDING: "pending",
    CheckState.SUCCESS: "success",
    CheckState.FAILURE: "failure",
    CheckState.CANCELLED: "error",
    CheckState.SKIPPED: "warning",
    CheckState.NEUTRAL: "warning",
}


def check_state(status: str) -> CheckState:
    """How a commit status stands; what we do not know is not over. A warning is no pass.

    Source: https://docs.gitea.com/api/ (CommitStatus)
    """
    return _STATES.get(status, CheckState.PENDING)


def run_state(run: WorkflowRun) -> CheckState:
    """How a run stands. Some releases put the conclusion into the status."""
    return _CONCLUSIONS.get(run.conclusion) or _CONCLUSIONS.get(run.status) or CheckState.PENDING


def reported_state(state: CheckState) -> str:
    """What we tell Gitea of a check of ours; it knows fewer ends."""
    return _REPORTED[state]
