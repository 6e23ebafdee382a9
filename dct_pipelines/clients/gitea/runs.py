"""Workflow runs that we start, and checks that we report. Deployments are not known to Gitea."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from dct_pipelines.clients.answers import listed, parsed, refused_action, sorted_out
from dct_pipelines.clients.gitea.api import PAGE_SIZE, GiteaApi
from dct_pipelines.clients.gitea.shapes import RunDetails, WorkflowRun
from dct_pipelines.clients.gitea.words import reported_state, run_state
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.hosting.port import PipelineRun
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.words import CheckState

KEY_INPUT = "dct_key"
"""A workflow that shows it (`run-name: ${{ inputs.dct_key }}`) has its runs found again."""
_MISSING = 404
NO_DEPLOYMENTS = (
    "Gitea and Forgejo keep no deployments; take the deployment out of the action's configuration"
)


class GiteaRuns:
    """The part of the code host that is about workflows, deployments and checks."""

    def __init__(self, api: GiteaApi) -> None:
        self._api = api

    def dispatch(
        self, repository: str, *, workflow: str, ref: str, inputs: Mapping[str, str], key: str
    ) -> PipelineRun | None:
        """Start a workflow that has `on: workflow_dispatch`; None by servers that do not say what it became.

        `workflow` is the name of its file. The input `dct_key` carries our key.
        """
        path = self._api.repository(repository, "actions", "workflows", workflow, "dispatches")
        what = f"starting the workflow {shown(workflow)}"
        asked = {"ref": ref, "inputs": {**inputs, KEY_INPUT: key}}
        query = {"return_run_details": "true"}
        with refused_action(what):
            answer = self._api.call("POST", path, query=query, json=asked, accept={_MISSING})
        if answer.status == _MISSING:
            raise ActionFailed(
                f"{what}: the server has no such workflow in the default branch, or no Actions, or is older "
                "than Gitea 1.23 or Forgejo 7; check the workflow's file name and the server's release"
            )
        if answer.body is None:
            return None
        details = parsed(RunDetails, answer.body, what)
        return PipelineRun(str(details.workflow_run_id), CheckState.PENDING, details.html_url)

    def find_run(self, repository: str, *, workflow: str, ref: str, key: str) -> PipelineRun | None:
        """The run whose title shows the key, among the newest of the ref."""
        path = self._api.repository(repository, "actions", "runs")
        what = f"looking for a run of {shown(workflow)}"
        query = {"event": "workflow_dispatch", "branch": ref, "limit": str(PAGE_SIZE)}
        with refused_action(what):
            body = self._api.call("GET", path, query=query).body
        runs = listed((body if isinstance(body, dict) else {}).get("workflow_runs") or [], what)
        for run in sorted_out(WorkflowRun, runs, what)[0]:
            if key in run.display_title:
                return _run(run)
        return None

    def run(self, repository: str, run_id: str) -> PipelineRun:
        """A run as it is now."""
        what = f"run {shown(run_id)} of {shown(repository)}"
        with refused_action(what):
            body = self._api.call("GET", self._api.repository(repository, "actions", "runs", run_id)).body
        return _run(parsed(WorkflowRun, body, what))

    def create_deployment(
        self, repository: str, *, commit: str, environment: str, description: str, key: str
    ) -> str:
        """Not to be had."""
        raise ActionFailed(NO_DEPLOYMENTS)

    def deployment_status(
        self,
        repository: str,
        deployment: str,
        *,
        state: Literal["in_progress", "success", "failure"],
        url: str,
    ) -> None:
        """Not to be had."""
        raise ActionFailed(NO_DEPLOYMENTS)

    def report_check(
        self, repository: str, *, commit: str, name: str, state: CheckState, summary: str, url: str
    ) -> None:
        """Add a status to the commit; of one context the latest counts."""
        asked = {"state": reported_state(state), "context": name, "description": summary, "target_url": url}
        with refused_action(f"reporting the check {shown(name)}"):
            self._api.call("POST", self._api.repository(repository, "statuses", commit), json=asked)


def _run(run: WorkflowRun) -> PipelineRun:
    return PipelineRun(str(run.id), run_state(run), run.html_url)
