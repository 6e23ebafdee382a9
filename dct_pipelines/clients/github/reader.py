"""What the listener asks of one repository, by GraphQL: many pull requests and commits a call.

A part that could not be read makes its pull request one that could not be read; it is never taken for gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dct_pipelines.clients.answers import parsed, sorted_out
from dct_pipelines.clients.github import queries
from dct_pipelines.clients.github.api import GitHubApi, GraphAnswer
from dct_pipelines.clients.github.assemble import checks_of, state_of
from dct_pipelines.clients.github.parts import NotUnderstood, Parts
from dct_pipelines.clients.github.shapes import CommitNode, ListedNode, Nodes, stamp
from dct_pipelines.domain.errors import ItemUnreadable
from dct_pipelines.domain.git_refs import as_oid
from dct_pipelines.domain.hosting.reader import (
    HostedCheck,
    HostedState,
    Listed,
    Listing,
    Requests,
)
from dct_pipelines.domain.listener import DeadLetter

REQUESTS_A_CALL = 25
"""With all that belongs to them: GitHub answers no question that takes it longer than ten seconds."""
COMMITS_A_CALL = 50
_CHANGED = {"field": "UPDATED_AT", "direction": "DESC"}
_OPENED = {"field": "CREATED_AT", "direction": "ASC"}


@dataclass(frozen=True)
class GitHubReader:
    """One repository, `owner/name`."""

    api: GitHubApi
    repository: str

    def changed(self, since: datetime, cursor: str | None) -> Listing:
        """The last updated ones first: who moves to the front meanwhile pushes nobody out of the list."""
        listing = self._list(cursor, order=_CHANGED, states=None)
        news = tuple(entry for entry in listing.entries if entry.updated_at >= since)
        is_over = len(news) < len(listing.entries)
        return Listing(news, None if is_over else listing.cursor, listing.as_of, listing.letters)

    def open(self, cursor: str | None) -> Listing:
        """Open ones, the oldest first."""
        return self._list(cursor, order=_OPENED, states=["OPEN"])

    def requests(self, numbers: Sequence[int]) -> Requests:
        """These pull requests, whole."""
        states: list[HostedState] = []
        missing: dict[int, str] = {}
        letters: list[DeadLetter] = []
        for some in _cut(list(numbers), REQUESTS_A_CALL):
            answer = self._ask(queries.requests_query(some))
            found = answer.data["repository"]
            for number in some:
                alias = f"r{number}"
                if why := answer.fault_below("repository", alias):
                    missing[number] = why
                elif found.get(alias) is None:
                    missing[number] = "GitHub does not show it to this credential"
                else:
                    parts = Parts(self.api, f"{self.api.name}: pull request {self.repository}#{number}")
                    try:
                        states.append(state_of(parts, found[alias]))
                    except (NotUnderstood, ItemUnreadable) as fault:
                        missing[number] = str(fault)
                    letters += parts.letters
        return Requests(tuple(states), missing, tuple(letters))

    def checks(self, commits: Collection[str]) -> Mapping[str, Mapping[str, HostedCheck]]:
        """Check runs and commit statuses together, by name; of those with the same name the worst."""
        found: dict[str, Mapping[str, HostedCheck]] = {}
        for some in _cut([as_oid(commit) for commit in commits], COMMITS_A_CALL):
            answer = self._ask(queries.checks_query(some))
            for place, commit in enumerate(some):
                node = answer.data["repository"].get(f"c{place}")
                if node and answer.fault_below("repository", f"c{place}") is None:
                    named = self._checks(commit, node)
                    if named is not None:
                        found[commit] = named
        return found

    def _checks(self, commit: str, node: Any) -> Mapping[str, HostedCheck] | None:
        what = f"{self.api.name}: checks of {commit[:8]}"
        shape = parsed(CommitNode, node, what)
        if shape.status_check_rollup is None:
            return {}
        parts = Parts(self.api, what)
        try:
            contexts = parts.all_of(shape.id, shape.status_check_rollup.contexts, queries.MORE_CONTEXTS)
            return checks_of(parts, list(contexts))
        except (ItemUnreadable, NotUnderstood):
            return None

    def _list(self, cursor: str | None, *, order: Mapping[str, str], states: list[str] | None) -> Listing:
        answer = self._ask(queries.LIST, cursor=cursor, order=order, states=states)
        what = f"{self.api.name}: pull requests of {self.repository}"
        if why := answer.fault_below("repository"):
            raise ItemUnreadable(f"{what} cannot be listed: {why}; check what the credential may read")
        page = parsed(Nodes, answer.data["repository"].get("pullRequests"), what)
        nodes, letters = sorted_out(ListedNode, page.nodes, what)
        entries = tuple(Listed(node.number, stamp(node.updated_at), node.updated_at) for node in nodes)
        more = page.page_info.end_cursor if page.page_info.has_next_page else None
        return Listing(entries, more, answer.as_of, tuple(letters))

    def _ask(self, text: str, **variables: Any) -> GraphAnswer:
        owner, _, name = self.repository.partition("/")
        answer = self.api.query(text, owner=owner, name=name, **variables)
        if not isinstance(answer.data.get("repository"), dict):
            why = answer.fault_below("repository") or next(iter(answer.faults.values()), "it is not there")
            raise ItemUnreadable(
                f"{self.api.name}: {self.repository} cannot be read: {why}; it does not exist, or the "
                "credential's owner may not see it"
            )
        return answer


def _cut(elements: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(elements), size):
        yield elements[start : start + size]
