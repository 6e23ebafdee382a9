"""The part of GitHub's GraphQL that we ask, answered by graphql-core from a `GitHubWorld`.

The types are those of https://docs.github.com/en/graphql/reference, cut to what is asked: a question that
GitHub would refuse for its form is refused here too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from graphql import DocumentNode, GraphQLError, build_schema, execute_sync, parse, validate

from tests.fakes.github_world import Account, Check, Comment, GitHubWorld, Pull, Review

Json = dict[str, Any]

SCHEMA = build_schema("""
scalar DateTime scalar URI scalar GitObjectID
type Query { repository(owner: String!, name: String!): Repository node(id: ID!): Node }
interface Node { id: ID! }
interface Actor { login: String! }
type User implements Actor { login: String! databaseId: Int }
type Bot implements Actor { login: String! databaseId: Int }
type Mannequin implements Actor { login: String! databaseId: Int }
type Organization implements Actor { login: String! databaseId: Int }
enum PullRequestState { OPEN CLOSED MERGED }
enum IssueOrderField { CREATED_AT UPDATED_AT COMMENTS }
enum OrderDirection { ASC DESC }
input IssueOrder { field: IssueOrderField! direction: OrderDirection! }
enum PullRequestTimelineItemsItemType { RENAMED_TITLE_EVENT }
type PageInfo { hasNextPage: Boolean! endCursor: String }
type Repository {
  pullRequest(number: Int!): PullRequest
  pullRequests(first: Int, after: String, states: [PullRequestState!], orderBy: IssueOrder): PullRequests!
  object(oid: GitObjectID): GitObject
}
type PullRequests { nodes: [PullRequest] pageInfo: PageInfo! }
interface GitObject { id: ID! oid: GitObjectID! }
type Commit implements GitObject & Node { id: ID! oid: GitObjectID! statusCheckRollup: StatusCheckRollup }
type StatusCheckRollup { contexts(first: Int, after: String): Contexts! }
type Contexts { nodes: [StatusCheckRollupContext] pageInfo: PageInfo! }
union StatusCheckRollupContext = CheckRun | StatusContext
type App { slug: String! }
type Workflow { name: String! }
type WorkflowRun { workflow: Workflow! }
type CheckSuite { app: App workflowRun: WorkflowRun }
enum CheckStatusState { COMPLETED IN_PROGRESS QUEUED WAITING }
enum CheckConclusionState { SUCCESS FAILURE NEUTRAL SKIPPED CANCELLED TIMED_OUT ACTION_REQUIRED STALE }
enum StatusState { SUCCESS FAILURE ERROR PENDING EXPECTED }
type CheckRun {
  name: String! status: CheckStatusState! conclusion: CheckConclusionState detailsUrl: URI
  startedAt: DateTime checkSuite: CheckSuite!
}
type StatusContext { context: String! state: StatusState! targetUrl: URI createdAt: DateTime! }
interface Comment {
  author: Actor body: String! createdAt: DateTime! publishedAt: DateTime updatedAt: DateTime!
  lastEditedAt: DateTime editor: Actor
}
type IssueComment implements Comment {
  author: Actor body: String! createdAt: DateTime! publishedAt: DateTime updatedAt: DateTime!
  lastEditedAt: DateTime editor: Actor url: URI!
}
type PullRequestReviewComment implements Comment {
  author: Actor body: String! createdAt: DateTime! publishedAt: DateTime updatedAt: DateTime!
  lastEditedAt: DateTime editor: Actor url: URI!
}
enum PullRequestReviewState { PENDING COMMENTED APPROVED CHANGES_REQUESTED DISMISSED }
type PullRequestReview implements Comment & Node {
  id: ID! author: Actor body: String! createdAt: DateTime! publishedAt: DateTime updatedAt: DateTime!
  lastEditedAt: DateTime editor: Actor url: URI!
  state: PullRequestReviewState! submittedAt: DateTime authorCanPushToRepository: Boolean! commit: Commit
  comments(first: Int, after: String): ReviewComments!
}
type ReviewComments { nodes: [PullRequestReviewComment] pageInfo: PageInfo! }
type IssueComments { nodes: [IssueComment] pageInfo: PageInfo! }
type Reviews { nodes: [PullRequestReview] pageInfo: PageInfo! }
union TimelineItem = RenamedTitleEvent
type TimelineItems { nodes: [TimelineItem] pageInfo: PageInfo! }
type RenamedTitleEvent implements Node {
  id: ID! createdAt: DateTime! previousTitle: String! currentTitle: String! actor: Actor
}
type PullRequest implements Node & Comment {
  id: ID! number: Int! title: String! url: URI! state: PullRequestState! isDraft: Boolean!
  isCrossRepository: Boolean!
  author: Actor body: String! createdAt: DateTime! publishedAt: DateTime updatedAt: DateTime!
  lastEditedAt: DateTime editor: Actor headRefName: String! headRefOid: GitObjectID! baseRefName: String!
  comments(first: Int, after: String): IssueComments!
  reviews(first: Int, after: String): Reviews
  timelineItems(
    first: Int, after: String, itemTypes: [PullRequestTimelineItemsItemType!]
  ): TimelineItems!
}
""")


def answer(world: GitHubWorld, asked: Json) -> Json:
    """What GitHub answers, as JSON; errors have a type and a path."""
    root = {
        "repository": lambda _info, owner, name: _repository(world, f"{owner}/{name}"),
        "node": lambda _info, id: _node(world, id),
    }
    document, faults = _read(asked["query"])
    if faults:
        return {"errors": [fault.formatted for fault in faults]}
    result = execute_sync(SCHEMA, document, root, variable_values=asked.get("variables"))
    errors = [
        {"type": str(fault.original_error) if fault.original_error else "", **fault.formatted}
        for fault in result.errors or ()
    ]
    return {"data": result.data} | ({"errors": errors} if errors else {})


@lru_cache
def _read(query: str) -> tuple[DocumentNode, list[GraphQLError]]:
    document = parse(query)
    return document, validate(SCHEMA, document)


class _Missing(Exception):
    """Its text is the type of the error."""


def _repository(world: GitHubWorld, name: str) -> Json:
    if name.casefold() != world.name.casefold():
        raise _missing(f"Could not resolve to a Repository with the name '{name}'.")

    def pull(_info: Any, number: int) -> Json:
        if number not in world.pulls:
            raise _missing(f"Could not resolve to a PullRequest with the number of {number}.")
        if number in world.hidden:
            raise GraphQLError("Resource not accessible", original_error=_Missing("FORBIDDEN"))
        return _pull(world, world.pulls[number])

    return {
        "pullRequest": pull,
        "pullRequests": lambda _info, **wanted: _pulls(world, **wanted),
        "object": lambda _info, oid: _commit(world, oid),
    }


def _missing(words: str) -> GraphQLError:
    return GraphQLError(words, original_error=_Missing("NOT_FOUND"))


def _pulls(
    world: GitHubWorld, *, first: int, after: str | None = None, states: Any = None, **order: Json
) -> Json:
    """Cursors name a place in the order, not a number of elements."""
    by = "created_at" if order["orderBy"]["field"] == "CREATED_AT" else "updated_at"
    is_down = order["orderBy"]["direction"] == "DESC"

    def place(pull: Pull) -> str:
        return f"{_at(getattr(pull, by))} {pull.number:06}"

    found = sorted(world.pulls.values(), key=place, reverse=is_down)
    found = [pull for pull in found if not states or pull.state in states]
    if after is not None:
        found = [pull for pull in found if (place(pull) < after if is_down else place(pull) > after)]
    first = min(first, world.page_size)
    page = found[:first]
    info = {"hasNextPage": len(found) > first, "endCursor": place(page[-1]) if page else None}
    return {"nodes": [_pull(world, pull) for pull in page], "pageInfo": info}


def _part(world: GitHubWorld, elements: Sequence[Json]) -> Callable[..., Json]:
    def part(_info: Any, first: int, after: str | None = None, **_wanted: Any) -> Json:
        start = int(after or 0)
        end = start + min(first, world.page_size)
        info = {"hasNextPage": end < len(elements), "endCursor": str(end)}
        return {"nodes": list(elements[start:end]), "pageInfo": info}

    return part


def _pull(world: GitHubWorld, pull: Pull) -> Json:
    return {
        "__typename": "PullRequest",
        "id": f"PR_{pull.number}",
        "number": pull.number,
        "title": pull.title,
        "body": pull.body,
        "url": f"https://github.example.org/{world.name}/pull/{pull.number}",
        "state": pull.state,
        "isDraft": pull.is_draft,
        "isCrossRepository": pull.is_from_fork,
        "createdAt": _at(pull.created_at),
        "updatedAt": _at(pull.updated_at),
        "headRefName": pull.source,
        "headRefOid": world.head(pull),
        "baseRefName": pull.target,
        "author": _actor(pull.author),
        "comments": _part(world, [_comment("IssueComment", pull, comment) for comment in pull.comments]),
        "reviews": _part(world, [_review(world, pull, review) for review in pull.reviews]),
        "timelineItems": _part(
            world,
            [
                {
                    "__typename": "RenamedTitleEvent",
                    "id": rename,
                    "createdAt": _at(at),
                    "previousTitle": before,
                    "currentTitle": after,
                    "actor": _actor(by),
                }
                for rename, at, before, after, by in pull.renames
            ],
        ),
    }


def _comment(kind: str, pull: Pull, comment: Comment) -> Json:
    return {
        "__typename": kind,
        "body": comment.body,
        "url": f"https://github.example.org/acme/shop/pull/{pull.number}#{comment.anchor}",
        "createdAt": _at(comment.created_at),
        "publishedAt": _at(comment.created_at),
        "updatedAt": _at(comment.updated_at),
        "lastEditedAt": _at(comment.edited_at) if comment.edited_at else None,
        "author": _actor(comment.author),
        "editor": None,
    }


def _review(world: GitHubWorld, pull: Pull, review: Review) -> Json:
    return _comment("PullRequestReview", pull, review) | {
        "id": f"PRR_{review.id}",
        "state": review.state,
        "submittedAt": _at(review.created_at),
        "authorCanPushToRepository": review.author.can_push,
        "commit": _commit(world, review.commit),
        "comments": _part(
            world, [_comment("PullRequestReviewComment", pull, one) for one in review.comments]
        ),
    }


def _commit(world: GitHubWorld, oid: str) -> Json | None:
    if oid not in world.git.objects.commits:
        return None
    checks = world.checks.get(oid, [])
    rollup = {"contexts": _part(world, [_context(check) for check in checks])} if checks else None
    return {"__typename": "Commit", "id": f"C_{oid}", "oid": oid, "statusCheckRollup": rollup}


def _context(check: Check) -> Json:
    if check.is_status:
        return {
            "__typename": "StatusContext",
            "context": check.name,
            "state": check.status,
            "createdAt": "2026-01-01T00:00:00Z",
        }
    run = {"workflow": {"name": check.workflow}}
    return {
        "__typename": "CheckRun",
        "name": check.name,
        "status": check.status,
        "conclusion": check.conclusion,
        "checkSuite": {"app": {"slug": "github-actions"}, "workflowRun": run},
    }


def _node(world: GitHubWorld, node_id: str) -> Json | None:
    kind, _, name = node_id.partition("_")
    if kind == "C":
        return _commit(world, name)
    for pull in world.pulls.values():
        if node_id == f"PR_{pull.number}":
            return _pull(world, pull)
        for review in pull.reviews:
            if node_id == f"PRR_{review.id}":
                return _review(world, pull, review)
    raise _missing(f"Could not resolve to a node with the global id of '{node_id}'")


def _actor(account: Account) -> Json:
    return {"__typename": account.type, "login": account.login, "databaseId": account.id}


def _at(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
