"""What is asked by GraphQL. Values are variables; only numbers and object ids are built into a text."""

from __future__ import annotations

from collections.abc import Sequence

PAGE_SIZE = 50
"""Pull requests of one page of a list."""

LIST = f"""
query($owner: String!, $name: String!, $cursor: String, $states: [PullRequestState!], $order: IssueOrder!) {{
  repository(owner: $owner, name: $name) {{
    pullRequests(first: {PAGE_SIZE}, after: $cursor, states: $states, orderBy: $order) {{
      nodes {{ number updatedAt }}
      pageInfo {{ hasNextPage endCursor }}
    }}
  }}
}}
"""

_ACTOR = """
fragment A on Actor {
  __typename login
  ... on User { databaseId } ... on Bot { databaseId } ... on Mannequin { databaseId }
  ... on Organization { databaseId }
}
"""
_COMMENT = """
fragment C on Comment {
  __typename body createdAt publishedAt updatedAt lastEditedAt author { ...A } editor { ...A }
  ... on IssueComment { url } ... on PullRequestReviewComment { url } ... on PullRequestReview { url }
}
"""
_REVIEW = """
fragment V on PullRequestReview {
  ...C id state submittedAt authorCanPushToRepository commit { oid }
  comments(first: 20) { nodes { ...C } pageInfo { hasNextPage endCursor } }
}
"""
_RENAME = """
fragment N on RenamedTitleEvent { id createdAt previousTitle currentTitle actor { ...A } }
"""
_REQUEST = """
fragment R on PullRequest {
  id number title body url state isDraft isCrossRepository createdAt updatedAt
  headRefName headRefOid baseRefName
  author { ...A }
  comments(first: 100) { nodes { ...C } pageInfo { hasNextPage endCursor } }
  reviews(first: 50) { nodes { ...V } pageInfo { hasNextPage endCursor } }
  timelineItems(first: 50, itemTypes: [RENAMED_TITLE_EVENT]) {
    nodes { ...N } pageInfo { hasNextPage endCursor }
  }
}
"""
_CONTEXT = """
fragment X on StatusCheckRollupContext {
  __typename
  ... on CheckRun {
    name status conclusion detailsUrl startedAt
    checkSuite { app { slug } workflowRun { workflow { name } } }
  }
  ... on StatusContext { context state targetUrl createdAt }
}
"""
_CHECKS = """
fragment K on Commit {
  id oid
  statusCheckRollup { contexts(first: 100) { nodes { ...X } pageInfo { hasNextPage endCursor } } }
}
"""


def requests_query(numbers: Sequence[int]) -> str:
    """Whole pull requests of one repository, one alias each: `r12`."""
    wanted = "\n".join(f"r{int(number)}: pullRequest(number: {int(number)}) {{ ...R }}" for number in numbers)
    return _of_repository(wanted) + _REQUEST + _RENAME + _REVIEW + _COMMENT + _ACTOR


def checks_query(commits: Sequence[str]) -> str:
    """The checks of commits (full ids, checked by the caller), one alias each: `c0`, `c1`, ..."""
    wanted = "\n".join(f'c{place}: object(oid: "{oid}") {{ ...K }}' for place, oid in enumerate(commits))
    return _of_repository(wanted) + _CHECKS + _CONTEXT


def _more(kind: str, part: str, *fragments: str) -> str:
    """The rest of a list that was cut: `more` of the node `$id`, from `$cursor` on."""
    rest = f"more: {part} {{ nodes {{ ...%s }} pageInfo {{ hasNextPage endCursor }} }}"
    fragment = fragments[0].split()[1]
    asked = rest % fragment
    if kind == "Commit":
        asked = f"statusCheckRollup {{ {asked} }}"
    query = f"query($id: ID!, $cursor: String) {{ node(id: $id) {{ ... on {kind} {{ {asked} }} }} }}"
    return query + "".join(fragments)


_REST = "(first: 100, after: $cursor"
MORE_COMMENTS = _more("PullRequest", f"comments{_REST})", _COMMENT, _ACTOR)
MORE_REVIEWS = _more("PullRequest", "reviews(first: 50, after: $cursor)", _REVIEW, _COMMENT, _ACTOR)
MORE_RENAMES = _more(
    "PullRequest", f"timelineItems{_REST}, itemTypes: [RENAMED_TITLE_EVENT])", _RENAME, _ACTOR
)
MORE_OF_REVIEW = _more("PullRequestReview", f"comments{_REST})", _COMMENT, _ACTOR)
MORE_CONTEXTS = _more("Commit", f"contexts{_REST})", _CONTEXT)


def _of_repository(wanted: str) -> str:
    return (
        "query($owner: String!, $name: String!) {\n"
        f"repository(owner: $owner, name: $name) {{\n{wanted}\n}}\n}}\n"
    )
