"""GitHub's words for how a check or a run stands, in ours, and the other way round.

https://docs.github.com/en/rest/checks/runs and https://docs.github.com/en/rest/commits/statuses
"""

from __future__ import annotations

from collections.abc import Mapping

from dct_pipelines.domain.hosting.reader import HostedCheck
from dct_pipelines.domain.words import CheckState

_CONCLUSIONS: Mapping[str, CheckState] = {
    "success": CheckState.SUCCESS,
    "failure": CheckState.FAILURE,
    "timed_out": CheckState.FAILURE,
    "startup_failure": CheckState.FAILURE,
    "action_required": CheckState.FAILURE,
    "cancelled": CheckState.CANCELLED,
    "stale": CheckState.CANCELLED,
    "skipped": CheckState.SKIPPED,
    "neutral": CheckState.NEUTRAL,
}
_STATUSES: Mapping[str, CheckState] = {
    "success": CheckState.SUCCESS,
    "failure": CheckState.FAILURE,
    "error": CheckState.FAILURE,
}
STATUS_OF: Mapping[CheckState, str] = {
    CheckState.PENDING: "pending",
    CheckState.SUCCESS: "success",
    CheckState.FAILURE: "failure",
    CheckState.CANCELLED: "error",
    CheckState.SKIPPED: "error",
    CheckState.NEUTRAL: "error",
}
"""A commit status knows four states. What is no success must not be read back as one."""
_WORST_FIRST = (
    CheckState.FAILURE,
    CheckState.CANCELLED,
    CheckState.PENDING,
    CheckState.SUCCESS,
    CheckState.NEUTRAL,
    CheckState.SKIPPED,
)


def state_of_run(status: str | None, conclusion: str | None) -> CheckState:
    """Of a check run or workflow run. What is not completed has no conclusion; an unknown one is no end."""
    if (status or "").casefold() != "completed" or conclusion is None:
        return CheckState.PENDING
    return _CONCLUSIONS.get(conclusion.casefold(), CheckState.PENDING)


def state_of_status(state: str) -> CheckState:
    """Of a commit status. `EXPECTED` is one that a rule asks for and nobody has reported."""
    return _STATUSES.get(state.casefold(), CheckState.PENDING)


def worst(one: HostedCheck, other: HostedCheck) -> HostedCheck:
    """Of two checks of the same name, the one that stands more in the way."""
    return min(one, other, key=lambda check: _WORST_FIRST.index(check.state))
