"""A comment was added to a ticket or a pull request."""

from __future__ import annotations

from datetime import datetime

from dct_pipelines.domain.condition import ConditionType, expect
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.payloads import CommentAdded
from dct_pipelines.domain.snapshot import PullRequestState, Snapshot, TicketState
from dct_pipelines.domain.text_rules import TextRules, judge_text
from dct_pipelines.domain.verdict import Verdict, no
from dct_pipelines.domain.words import ItemKind


class NewComment(TextRules):
    """By whom, how long, and with which words."""


def _test(config: NewComment, event: Event) -> Verdict:
    comment = expect(event.payload, CommentAdded)
    return judge_text("comment", config, comment.author, comment.text)


def _is_true(config: NewComment, snapshot: Snapshot, _at: datetime) -> Verdict:
    state = snapshot.state
    if not isinstance(state, PullRequestState):
        state = expect(state, TicketState)
    if state.last_comment is None:
        return no("nobody has commented")
    return judge_text("last comment", config, state.last_comment_by, state.last_comment)


CONDITION = ConditionType(
    kind="new_comment",
    summary="a comment is added",
    config=NewComment,
    item_kinds=frozenset(
        {ItemKind.JIRA_TICKET, ItemKind.JIRA_QUERY, ItemKind.PULL_REQUEST, ItemKind.GIT_REPOSITORY}
    ),
    event_kinds=frozenset({"comment_added"}),
    state_kinds=frozenset({"ticket", "pull_request"}),
    test=_test,
    is_true=_is_true,
    example={"from_user": "product@example.com", "contains_keywords": ["approved", "ship it"]},
)
