"""Deployers that start a pipeline at the repository's own git host, as an operator's manifest names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from dct_pipelines.domain.template import check
from dct_pipelines.domain.trigger import Definition

DEPLOY_FACTS = ("commit", "branch", "environment", "key", "execution_id")
"""What `{{ deploy.<fact> }}` can be in what a pipeline is given."""


def _known_facts(texts: dict[str, str]) -> dict[str, str]:
    for text in texts.values():
        for fault in check(text, {"deploy": dict.fromkeys(DEPLOY_FACTS)}):
            raise ValueError(fault)
    return texts


PipelineTexts = Annotated[dict[str, str], Field(max_length=25), AfterValidator(_known_facts)]


class PipelineDeployer(Definition):
    """Base of deployers that start a pipeline at the repository's own git host, and wait for its end."""

    ref: str = ""
    """The branch or tag to start it on; empty is the environment's branch."""
    wait: bool = True

    @property
    def told(self) -> Mapping[str, str]:
        """What the pipeline is given: names and texts that may be templates over `deploy`."""
        raise NotImplementedError


class GithubActionsDeployer(PipelineDeployer):
    """Starts a workflow that can be dispatched (GitHub, Gitea)."""

    type: Literal["github_actions"] = "github_actions"
    workflow: Annotated[str, Field(pattern=r"^[\w.+-][\w. +-]{0,199}$")]
    """Its file's name, e.g. `deploy.yml`."""
    inputs: PipelineTexts = Field(default_factory=dict)

    @property
    def told(self) -> Mapping[str, str]:
        """Its inputs."""
        return self.inputs


class GitlabCiDeployer(PipelineDeployer):
    """Starts a pipeline of the project."""

    type: Literal["gitlab_ci"] = "gitlab_ci"
    variables: PipelineTexts = Field(default_factory=dict)

    @property
    def told(self) -> Mapping[str, str]:
        """Its variables."""
        return self.variables
