"""What GitHub's answers by GraphQL have to look like. What we do not need is not looked at."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from pydantic.alias_generators import to_camel

from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.hosting.reader import HostedComment

_ANCHOR = re.compile(r"#([a-z-]+_?r?\d+)$")


class _Node(BaseModel):
    """Of GraphQL: camel case."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


class Actor(_Node):
    """Who did something. GraphQL calls a bot `dependabot`, REST and people `dependabot[bot]`."""

    kind: StrictStr = Field(alias="__typename")
    login: StrictStr
    database_id: StrictInt | None = None

    @property
    def person(self) -> Person:
        """As we say it."""
        is_bot = self.kind == "Bot"
        suffix = "[bot]" if is_bot and not self.login.endswith("[bot]") else ""
        number = None if self.database_id is None else str(self.database_id)
        return Person(id=number, name=f"{self.login}{suffix}", is_bot=is_bot)


GHOST = Person(name="ghost")
"""How GitHub calls an account that is no more."""


def person_of(actor: Actor | None) -> Person:
    """The person of an account, which may be gone."""
    return GHOST if actor is None else actor.person


class PageInfo(_Node):
    """Whether a list goes on."""

    has_next_page: StrictBool
    end_cursor: StrictStr | None = None


class Nodes(_Node):
    """A part of a list; elements are looked at one by one."""

    nodes: list[Any]
    page_info: PageInfo


class ListedNode(_Node):
    """A pull request of a list."""

    number: StrictInt
    updated_at: AwareDatetime


class CommentNode(_Node):
    """A comment, one on a line, or a review's text."""

    url: StrictStr
    body: StrictStr
    created_at: AwareDatetime
    published_at: AwareDatetime | None = None
    updated_at: AwareDatetime
    last_edited_at: AwareDatetime | None = None
    author: Actor | None
    editor: Actor | None = None

    def hosted(self) -> HostedComment:
        """As we say it. Its id is the end of its address, the same in webhooks."""
        return HostedComment(
            id=anchor_of(self.url),
            author=person_of(self.author),
            text=self.body,
            created_at=self.published_at or self.created_at,
            updated=stamp(self.updated_at),
            edited_at=self.last_edited_at,
            url=self.url,
        )


class CommitRef(_Node):
    """A commit by its id."""

    oid: StrictStr


class ReviewNode(CommentNode):
    """A review. One that is still being written has no `submitted_at` and concerns nobody yet."""

    id: StrictStr
    state: StrictStr
    submitted_at: AwareDatetime | None
    author_can_push_to_repository: StrictBool
    commit: CommitRef | None
    comments: Nodes


class RenameNode(_Node):
    """One change of a title."""

    id: StrictStr
    created_at: AwareDatetime
    previous_title: StrictStr
    current_title: StrictStr
    actor: Actor | None


class RequestNode(_Node):
    """A pull request, whole."""

    id: StrictStr
    number: StrictInt
    title: StrictStr
    body: StrictStr
    url: StrictStr
    state: StrictStr
    is_draft: StrictBool
    is_cross_repository: StrictBool
    created_at: AwareDatetime
    updated_at: AwareDatetime
    head_ref_name: StrictStr
    head_ref_oid: StrictStr
    base_ref_name: StrictStr
    author: Actor | None
    comments: Nodes
    reviews: Nodes
    timeline_items: Nodes


class Rollup(_Node):
    """The checks of a commit."""

    contexts: Nodes


class CommitNode(_Node):
    """A commit with its checks; none at all is None."""

    id: StrictStr
    oid: StrictStr
    status_check_rollup: Rollup | None


class App(_Node):
    """Who runs a check."""

    slug: StrictStr


class Workflow(_Node):
    """A workflow of GitHub Actions."""

    name: StrictStr


class WorkflowRun(_Node):
    """A run of it."""

    workflow: Workflow


class Suite(_Node):
    """What a check run belongs to."""

    app: App | None = None
    workflow_run: WorkflowRun | None = None


class CheckRunNode(_Node):
    """A check run. `conclusion` is None until it is completed."""

    name: StrictStr
    status: StrictStr
    conclusion: StrictStr | None
    details_url: StrictStr | None = None
    started_at: AwareDatetime | None = None
    check_suite: Suite

    @property
    def maker(self) -> str:
        """What runs it: two workflows may have jobs of the same name."""
        app = self.check_suite.app.slug if self.check_suite.app else ""
        run = self.check_suite.workflow_run
        return f"{app} {run.workflow.name}" if run else app


class StatusNode(_Node):
    """A commit status."""

    context: StrictStr
    state: StrictStr
    target_url: StrictStr | None = None


def anchor_of(url: str) -> str:
    """`issuecomment-1`, `discussion_r1` or `pullrequestreview-1`: unique among all comments."""
    found = _ANCHOR.search(url)
    if found is None:
        raise ValueError("the address of a comment does not end with its id")
    return found[1]


def stamp(moment: datetime) -> str:
    """A time as REST, GraphQL and webhooks write it alike."""
    return moment.isoformat().replace("+00:00", "Z")
