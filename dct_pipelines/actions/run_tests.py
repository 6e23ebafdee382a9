"""Runs a test suite on a commit, reads its JUnit XML, and reports the result as a check on that commit."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from dct_pipelines.domain.action import ActionConfig, ActionContext, ActionType, Recovery
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.outcome import Outcome, done, nothing_to_do
from dct_pipelines.domain.ports import ActionPorts
from dct_pipelines.domain.testing import (
    Judged,
    Place,
    judge,
    place_in_environment,
    place_in_repository,
    place_in_workspace,
    reported,
    shown_at_host,
    told_earlier,
)


class RunTestsConfig(ActionConfig):
    """One place: a `workspace` (an id), an `environment`, or a `repository` with `commit` or `branch`."""

    suite: str
    workspace: str = ""
    environment: str = ""
    repository: str = ""
    branch: str = ""
    commit: str = ""
    force: bool = False
    on_failure: Literal["fail", "continue"] = "fail"
    report: bool = True
    """Whether the check is also shown at the repository's git host, if it has one."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(map(bool, (self.workspace, self.environment, self.repository))) != 1:
            raise ValueError("give exactly one of workspace, environment and repository")
        if bool(self.repository) is not bool(self.branch or self.commit) or (self.branch and self.commit):
            raise ValueError("repository needs a branch or a commit, and only repository takes one")
        return self


def run(context: ActionContext, config: RunTestsConfig, ports: ActionPorts) -> Outcome:
    """Run unless there is a result for this commit already; tests that fail then fail the action."""
    suite = ports.library.suite(config.suite)
    place = _place(config, ports)
    earlier = None if config.force else told_earlier(context, ports, place, suite.name)
    judged = earlier or judge(context, ports, place, suite)
    if earlier is None:
        reported(ports, place, suite.name, judged)
    words = f"{suite.name} on {place.commit[:8]}: {judged.words}"
    if config.report and (earlier is None or context.started_before):
        problem = shown_at_host(ports, place, suite.name, judged)
        words = f"{words}; {problem}" if problem else words
    if not judged.passed and config.on_failure == "fail":
        raise ActionFailed(words)
    give = done if earlier is None else nothing_to_do
    return give(words, **_told(place, judged))


def _place(config: RunTestsConfig, ports: ActionPorts) -> Place:
    if config.workspace:
        return place_in_workspace(ports, config.workspace)
    if config.environment:
        return place_in_environment(ports, config.environment)
    return place_in_repository(ports, config.repository, config.branch, config.commit)


def _told(place: Place, judged: Judged) -> dict[str, Any]:
    return {
        "commit": place.commit,
        "passed": judged.passed,
        "tests": judged.tally.tests,
        "failed": judged.tally.failed,
        "skipped": judged.tally.skipped,
        "failing": list(judged.tally.failing),
    }


def _leases(config: RunTestsConfig) -> tuple[str, ...]:
    if config.environment:
        return (f"environment:{config.environment}",)
    return (f"workspace:{config.workspace}",) if config.workspace else ()


ACTION = ActionType(
    kind="run_tests",
    summary="Runs a test suite and reports its result as a check on the commit.",
    config=RunTestsConfig,
    recovery=Recovery.CHECK,
    run=run,
    outputs=frozenset({"commit", "passed", "tests", "failed", "skipped", "failing"}),
    example={"suite": "unit", "environment": "qa"},
    leases=_leases,
)
