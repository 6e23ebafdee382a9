"""What operators and teams have defined, in memory."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from dct_pipelines.domain.connected import ItemFacts
from dct_pipelines.domain.errors import NotFound
from dct_pipelines.domain.operations import DraftSpec, EnvironmentSpec, SuiteSpec
from dct_pipelines.domain.ports import Repository
from dct_pipelines.domain.words import ItemKind

T = TypeVar("T")


class FakeLibrary:
    """Definitions by name; add to the dictionaries at will."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.environments: dict[str, EnvironmentSpec] = {}
        self.suites: dict[str, SuiteSpec] = {}
        self.drafts: dict[str, DraftSpec] = {}
        self.items: dict[str, Mapping[str, Any]] = {}
        self.facts: dict[str, ItemFacts] = {}
        self.connection_kinds: dict[str, str] = {}
        self.connection_roots: dict[str, str] = {}

    def repository(self, name: str) -> Repository:
        return _get("repository", name, self.repositories)

    def repository_by_id(self, item_id: UUID) -> Repository:
        for repository in self.repositories.values():
            if repository.item_id == item_id:
                return repository
        raise NotFound(f"there is no repository {item_id}")

    def item(self, name: str) -> ItemFacts:
        if name not in self.facts and name in self.repositories:
            found = self.repositories[name]
            return ItemFacts(found.item_id, name, ItemKind.GIT_REPOSITORY, found.ref.url, None)
        return _get("item", name, self.facts)

    def item_by_id(self, item_id: UUID) -> ItemFacts:
        for facts in self.facts.values():
            if facts.id == item_id:
                return facts
        raise NotFound(f"there is no item {item_id}")

    def connection_kind(self, name: str) -> str:
        return _get("connection", name, self.connection_kinds)

    def connection_root(self, name: str) -> str:
        return self.connection_roots.get(name, "")

    def environment(self, name: str) -> EnvironmentSpec:
        return _get("environment", name, self.environments)

    def suite(self, name: str) -> SuiteSpec:
        return _get("suite", name, self.suites)

    def draft(self, name: str) -> DraftSpec:
        return _get("draft", name, self.drafts)

    def context_item(self, name: str) -> Mapping[str, Any]:
        return _get("item", name, self.items)


def _get(kind: str, name: str, known: Mapping[str, T]) -> T:
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise NotFound(f"there is no {kind} {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    return known[name]
