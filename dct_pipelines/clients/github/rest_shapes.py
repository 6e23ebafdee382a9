"""What GitHub's answers by REST, and its webhooks, have to look like."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, StrictBool, StrictInt, StrictStr

from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.hosting.people import github_person


class _Rest(BaseModel):
    """Of REST: snake case."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Account(_Rest):
    """Who did something, in REST and webhooks."""

    login: StrictStr
    id: StrictInt
    type: StrictStr = "User"

    @property
    def person(self) -> Person:
        """As we say it."""
        return github_person(self.id, self.login, self.type)


class Repo(_Rest):
    """A repository."""

    full_name: StrictStr
    private: StrictBool = False
    default_branch: StrictStr = ""


class Ref(_Rest):
    """An end of a pull request; the repository of a fork may be gone."""

    ref: StrictStr
    sha: StrictStr
    repo: Repo | None = None


class Pull(_Rest):
    """A pull request. `merged` and `mergeable` are only in the answer about a single one."""

    number: StrictInt
    title: StrictStr
    state: StrictStr
    draft: StrictBool = False
    html_url: StrictStr
    body: StrictStr | None = None
    head: Ref
    base: Ref
    merged_at: datetime | None = None
    mergeable: StrictBool | None = None
    merge_commit_sha: StrictStr | None = None


class Merged(_Rest):
    """What a merge gave."""

    sha: StrictStr


class Run(_Rest):
    """A run of a workflow."""

    id: StrictInt
    status: StrictStr | None
    conclusion: StrictStr | None
    html_url: StrictStr
    name: StrictStr | None = None
    display_title: StrictStr = ""


class Runs(_Rest):
    """A list of them."""

    workflow_runs: list[Run]


class Dispatched(_Rest):
    """What a dispatch says since 2026, if it is asked to."""

    workflow_run_id: StrictInt
    html_url: StrictStr


class Deployment(_Rest):
    """A deployment; `payload` is whatever its maker gave."""

    id: StrictInt
    payload: Any = None


class Limit(_Rest):
    """What is left of a limit; `reset` in seconds since 1970."""

    limit: StrictInt
    remaining: StrictInt
    reset: StrictInt

    @property
    def at(self) -> datetime:
        """When it is full again."""
        return datetime.fromtimestamp(self.reset, UTC)


class Resources(_Rest):
    """The limits that concern us."""

    core: Limit | None = None
    graphql: Limit | None = None


class Limits(_Rest):
    """How many calls are left."""

    resources: Resources


class Installed(_Rest):
    """Where an app is installed."""

    total_count: StrictInt
