"""The parts of an answer: lists that were cut are read to their end, what is not understood is kept raw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel

from dct_pipelines.clients.answers import letter_of, parsed, sorted_out
from dct_pipelines.clients.github.api import GitHubApi
from dct_pipelines.clients.github.shapes import Nodes
from dct_pipelines.domain.errors import ConnectionDown, ItemUnreadable
from dct_pipelines.domain.listener import DeadLetter

MOST_PAGES = 100
S = TypeVar("S", bound=BaseModel)


class NotUnderstood(Exception):
    """Something that a pull request cannot be judged without has another form than documented."""


@dataclass
class Parts:
    """Of one pull request or commit; `what` names it in messages."""

    api: GitHubApi
    what: str
    letters: list[DeadLetter] = field(default_factory=list)

    def understood(self, shape: type[S], elements: list[Any]) -> list[S]:
        """Those that have their shape; the others become letters."""
        shaped, letters = sorted_out(shape, elements, self.what)
        self.letters += letters
        return shaped

    def needed(self, shape: type[S], elements: list[Any]) -> list[S]:
        """All of them; `NotUnderstood` when one has not its shape."""
        before = len(self.letters)
        shaped = self.understood(shape, elements)
        if len(self.letters) > before:
            raise NotUnderstood(f"{self.letters[-1].why}; it is kept raw, see `dct connection letters`")
        return shaped

    def keep_raw(self, element: Any, why: str) -> None:
        """Something of it was not understood."""
        self.letters.append(letter_of(element, f"{self.what}: {why}"))

    def all_of(self, node_id: str, first: Nodes, query: str) -> Iterator[Any]:
        """Every element of a list: what came with its node, then the rest, page by page."""
        yield from first.nodes
        page = first
        for _ in range(MOST_PAGES):
            if not page.page_info.has_next_page:
                return
            page = self._more(node_id, page.page_info.end_cursor, query)
            yield from page.nodes
        raise ItemUnreadable(f"{self.what}: a list has more than {MOST_PAGES} pages; it is not read")

    def _more(self, node_id: str, cursor: str | None, query: str) -> Nodes:
        answer = self.api.query(query, id=node_id, cursor=cursor)
        if why := next(iter(answer.faults.values()), None):
            raise ItemUnreadable(f"{self.what}: the rest of a list cannot be read: {why}")
        node = answer.data.get("node")
        if isinstance(node, dict) and isinstance(node.get("statusCheckRollup"), dict):
            node = node["statusCheckRollup"]
        page = parsed(Nodes, node.get("more") if isinstance(node, dict) else None, self.what)
        if page.page_info.has_next_page and page.page_info.end_cursor in (None, cursor):
            raise ConnectionDown(f"{self.what}: a list's pages repeat; it is tried again")
        return page
