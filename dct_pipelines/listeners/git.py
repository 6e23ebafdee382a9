"""Git repositories, by polling: one `git ls-remote` a read."""

from __future__ import annotations

from dct_pipelines.domain.listener import ListenerType
from dct_pipelines.domain.repository.listen import EVENT_KINDS, GitRepositoryItem, read
from dct_pipelines.domain.words import ItemKind

LISTENER = ListenerType(
    kind="git",
    summary="branches, tags, commits and checks of git repositories, by polling",
    item_kinds=frozenset({ItemKind.GIT_REPOSITORY}),
    event_kinds=EVENT_KINDS,
    item_config=GitRepositoryItem,
    read=read,
    example={"default_branch": "main"},
    base_schemes=(),
)
