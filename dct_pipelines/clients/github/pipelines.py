"""Workflow runs, deployments and commit statuses, by REST.

https://docs.github.com/en/rest/actions/workflows#create-a-workflow-dispatch-event: since 2026 it says which
run it made, if it is asked to. An older server does not know the question, and then a run is found by our key
in its name: the workflow takes an input `dct_key` and shows it with `run-name: ... ${{ inputs.dct_key }}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from dct_pipelines.clients.answers import listed, parsed, refused_action
from dct_pipelines.clients.api import ApiAnswer, ApiRefusal
from dct_pipelines.clients.api_signs import said
from dct_pipelines.clients.github.api import GitHubApi
from dct_pipelines.clients.github.rest_shapes import Deployment, Dispatched, Run, Runs
from dct_pipelines.clients.github.words import STATUS_OF, state_of_run
from dct_pipelines.domain.hosting.port import PipelineRun
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.words import CheckState

KEY_INPUT = "dct_key"
_DETAILS = "return_run_details"
_LONGEST_DESCRIPTION = 140
_STATES_OF_NO_PASS = frozenset({CheckState.CANCELLED, CheckState.SKIPPED, CheckState.NEUTRAL})


class GitHubPipelines:
    """The part of the client that deploys and reports."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api

    def dispatch(
        self, repository: str, *, workflow: str, ref: str, inputs: Mapping[str, str], key: str
    ) -> PipelineRun | None:
        """Start a workflow, once. None when GitHub does not say which run that became."""
        what = f"workflow {shown(workflow)} of {repository} cannot be started on {shown(ref)}"
        wanted: dict[str, Any] = {"ref": ref, "inputs": {**inputs, KEY_INPUT: key}, _DETAILS: True}
        path = self._api.repository(repository, "actions", "workflows", workflow, "dispatches")
        with refused_action(what):
            answer = self._dispatched(path, wanted)
        if not isinstance(answer.body, dict) or "workflow_run_id" not in answer.body:
            return None
        run = parsed(Dispatched, answer.body, what)
        return PipelineRun(str(run.workflow_run_id), CheckState.PENDING, run.html_url)

    def find_run(self, repository: str, *, workflow: str, ref: str, key: str) -> PipelineRun | None:
        """The run whose name shows the key."""
        what = f"runs of workflow {shown(workflow)} of {repository}"
        query = {"event": "workflow_dispatch", "branch": ref, "per_page": "100"}
        path = self._api.repository(repository, "actions", "workflows", workflow, "runs")
        with refused_action(f"{what} cannot be listed"):
            runs = parsed(Runs, self._api.call("GET", path, query=query).body, what).workflow_runs
        found = next((run for run in runs if key in run.display_title or key in (run.name or "")), None)
        return _pipeline_run(found) if found else None

    def run(self, repository: str, run_id: str) -> PipelineRun:
        """A run as it is now."""
        what = f"run {shown(run_id)} of {repository}"
        with refused_action(f"{what} cannot be read"):
            path = self._api.repository(repository, "actions", "runs", run_id)
            return _pipeline_run(parsed(Run, self._api.call("GET", path).body, what))

    def create_deployment(
        self, repository: str, *, commit: str, environment: str, description: str, key: str
    ) -> str:
        """Record a deployment; the environment's own rules and checks are not asked again."""
        what = f"a deployment of {commit[:8]} to {shown(environment)} of {repository}"
        path = self._api.repository(repository, "deployments")
        with refused_action(f"{what} cannot be recorded"):
            query = {"sha": commit, "environment": environment, "per_page": "100"}
            for element in listed(self._api.call("GET", path, query=query).body, what):
                known = parsed(Deployment, element, what)
                if isinstance(known.payload, Mapping) and known.payload.get(KEY_INPUT) == key:
                    return str(known.id)
            body = {
                "ref": commit,
                "environment": environment,
                "description": description[:_LONGEST_DESCRIPTION],
                "auto_merge": False,
                "required_contexts": [],
                "payload": {KEY_INPUT: key},
            }
            return str(parsed(Deployment, self._api.call("POST", path, json=body).body, what).id)

    def deployment_status(
        self,
        repository: str,
        deployment: str,
        *,
        state: Literal["in_progress", "success", "failure"],
        url: str,
    ) -> None:
        """Report how the deployment stands."""
        path = self._api.repository(repository, "deployments", deployment, "statuses")
        with refused_action(f"deployment {shown(deployment)} of {repository} takes no status"):
            self._api.call("POST", path, json={"state": state} | ({"log_url": url} if url else {}))

    def report_check(
        self, repository: str, *, commit: str, name: str, state: CheckState, summary: str, url: str
    ) -> None:
        """A commit status: check runs may only be made by GitHub Apps. The last one of a name counts."""
        said_so = f"{state}: {summary}" if state in _STATES_OF_NO_PASS else summary
        body = {
            "state": STATUS_OF[state],
            "context": name,
            "description": said_so[:_LONGEST_DESCRIPTION],
        }
        path = self._api.repository(repository, "statuses", commit)
        with refused_action(f"check {shown(name)} cannot be reported on {commit[:8]} of {repository}"):
            self._api.call("POST", path, json=body | ({"target_url": url} if url else {}))

    def _dispatched(self, path: str, wanted: dict[str, Any]) -> ApiAnswer:
        """A refusal because of something that we added starts nothing: once more without it."""
        try:
            return self._api.call("POST", path, json=wanted)
        except ApiRefusal as refusal:
            words = said(refusal.body)
            if refusal.status != 422 or (_DETAILS not in words and KEY_INPUT not in words):
                raise
            less = {name: value for name, value in wanted.items() if not (name == _DETAILS in words)}
            if KEY_INPUT in words:
                kept = {name: text for name, text in wanted["inputs"].items() if name != KEY_INPUT}
                less["inputs"] = kept
            if less == wanted:
                raise
            return self._dispatched(path, less)


def _pipeline_run(run: Run) -> PipelineRun:
    return PipelineRun(str(run.id), state_of_run(run.status, run.conclusion), run.html_url)
