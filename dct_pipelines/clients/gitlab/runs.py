"""Pipelines that we start, deployments that we record, and checks that we report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from dct_pipelines.clients.answers import listed, parsed, refused_action, sorted_out
from dct_pipelines.clients.api_signs import said
from dct_pipelines.clients.gitlab.api import GitLabApi
from dct_pipelines.clients.gitlab.shapes import CommitRef, Deployment, Pipeline, Variable
from dct_pipelines.clients.gitlab.words import pipeline_state, reported_state
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.hosting.port import PipelineRun
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.words import CheckState

KEY_VARIABLE = "DCT_KEY"
WORKFLOW_VARIABLE = "DCT_WORKFLOW"
"""GitLab has one pipeline a project; its `rules` can tell by this variable which of its jobs are meant."""
LOOKED_THROUGH = 20
"""Newest pipelines whose variables are read to find ours."""
LONGEST_DESCRIPTION = 255
"""Of a commit status; longer ones are refused."""
_STATUSES = {"in_progress": "running", "success": "success", "failure": "failed"}


class GitLabRuns:
    """The part of the code host that is about pipelines, deployments and checks."""

    def __init__(self, api: GitLabApi) -> None:
        self._api = api

    def dispatch(
        self, repository: str, *, workflow: str, ref: str, inputs: Mapping[str, str], key: str
    ) -> PipelineRun | None:
        """Create a pipeline for a branch or tag; the inputs are its variables, beside our key."""
        variables = {**inputs, KEY_VARIABLE: key} | ({WORKFLOW_VARIABLE: workflow} if workflow else {})
        asked = {"ref": ref, "variables": [{"key": name, "value": variables[name]} for name in variables]}
        what = f"starting a pipeline for {shown(ref)}"
        with refused_action(what):
            body = self._api.call("POST", self._api.project(repository, "pipeline"), json=asked).body
        return _run(parsed(Pipeline, body, what))

    def find_run(self, repository: str, *, workflow: str, ref: str, key: str) -> PipelineRun | None:
        """The pipeline that carries the key, among the newest that were started by the API for the ref."""
        path = self._api.project(repository, "pipelines")
        query = {"source": "api", "ref": ref, "order_by": "id", "sort": "desc"}
        what = f"looking for a pipeline for {shown(ref)}"
        with refused_action(what):
            answer = self._api.call("GET", path, query={**query, "per_page": str(LOOKED_THROUGH)})
            pipelines, _ = sorted_out(Pipeline, listed(answer.body, what), what)
            for pipeline in pipelines:
                body = self._api.call("GET", f"{path}/{pipeline.id}/variables").body
                variables, _ = sorted_out(Variable, listed(body, what), what)
                if any(one.key == KEY_VARIABLE and one.value == key for one in variables):
                    return _run(pipeline)
        return None

    def run(self, repository: str, run_id: str) -> PipelineRun:
        """A pipeline as it is now."""
        what = f"pipeline {shown(run_id)} of {shown(repository)}"
        with refused_action(what):
            body = self._api.call("GET", self._api.project(repository, "pipelines", run_id)).body
        return _run(parsed(Pipeline, body, what))

    def create_deployment(
        self, repository: str, *, commit: str, environment: str, description: str, key: str
    ) -> str:
        """Record a deployment that is under way.

        GitLab keeps neither a key nor a description with one: a running deployment of the same commit to the
        same environment is taken for ours and used again.
        """
        path = self._api.project(repository, "deployments")
        what = f"recording a deployment to {shown(environment)}"
        query = {"environment": environment, "status": "running", "order_by": "id", "sort": "desc"}
        with refused_action(what):
            running = listed(self._api.call("GET", path, query=query).body, what)
            for deployment in sorted_out(Deployment, running, what)[0]:
                if deployment.sha == commit:
                    return str(deployment.id)
            ref = self._branch_with(repository, commit)
            asked = {"environment": environment, "sha": commit, "ref": ref, "tag": False, "status": "running"}
            return str(parsed(Deployment, self._api.call("POST", path, json=asked).body, what).id)

    def deployment_status(
        self,
        repository: str,
        deployment: str,
        *,
        state: Literal["in_progress", "success", "failure"],
        url: str,
    ) -> None:
        """Set how a deployment stands. GitLab refuses a state that it has already, so that is looked at."""
        path = self._api.project(repository, "deployments", deployment)
        what = f"deployment {shown(deployment)}"
        with refused_action(what):
            now = parsed(Deployment, self._api.call("GET", path).body, what)
            if now.status != _STATUSES[state]:
                self._api.call("PUT", path, json={"status": _STATUSES[state]})

    def report_check(
        self, repository: str, *, commit: str, name: str, state: CheckState, summary: str, url: str
    ) -> None:
        """Set a status of the commit. GitLab refuses a step to the state that it has: that is fine."""
        asked = {"state": reported_state(state), "name": name, "description": summary[:LONGEST_DESCRIPTION]}
        if url:
            asked["target_url"] = url
        what = f"reporting the check {shown(name)}"
        with refused_action(what):
            path = self._api.project(repository, "statuses", commit)
            answer = self._api.call("POST", path, json=asked, accept={400})
        if answer.status == 400 and "cannot transition status" not in answer.text.casefold():
            raise ActionFailed(f"{what}: GitLab refused it{said(answer.body)}")

    def _branch_with(self, repository: str, commit: str) -> str:
        """A branch that holds the commit, which a deployment has to name; else the commit itself."""
        path = self._api.project(repository, "repository", "commits", commit, "refs")
        body = self._api.call("GET", path, query={"type": "branch"}).body
        branches, _ = sorted_out(CommitRef, listed(body, "branches of a commit"), "branches of a commit")
        return branches[0].name if branches else commit


def _run(pipeline: Pipeline) -> PipelineRun:
    return PipelineRun(str(pipeline.id), pipeline_state(pipeline.status), pipeline.web_url)
