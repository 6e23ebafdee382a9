"""An item's repository at its git host, as actions reach it."""

from __future__ import annotations

from dataclasses import dataclass

from dct_pipelines.domain.connected import ConnectionsPort, ItemFacts
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.hosting.places import place_of
from dct_pipelines.domain.hosting.port import CodeHostPort
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.ports import LibraryPort

HOSTS = frozenset({"github", "gitlab", "gitea"})
"""Kinds of connections that are git hosts."""


@dataclass(frozen=True)
class Hosted:
    """A repository and its host. `repository` is `owner/name`, with groups on GitLab."""

    item: ItemFacts
    kind: str
    host: CodeHostPort
    repository: str


def host_of(library: LibraryPort, connections: ConnectionsPort, name: str) -> Hosted | None:
    """The host of the item of that name; None when its connection is not to a git host."""
    item = library.item(name)
    if item.connection is None or (kind := library.connection_kind(item.connection)) not in HOSTS:
        return None
    # GitHub has its address for itself: a path there is an owner's.
    root = "" if kind == "github" else library.connection_root(item.connection)
    place = place_of(item.location, root)
    if place is None:
        raise ActionFailed(
            f"{name} is at {shown(item.location)}, which names no repository; correct the item"
        )
    return Hosted(item, kind, connections.code_host(item.connection), place.repository)


def needed_host(library: LibraryPort, connections: ConnectionsPort, name: str, what: str) -> Hosted:
    """The same, or an explained failure; `what` is what needs a host, e.g. `a pull request`."""
    hosted = host_of(library, connections, name)
    if hosted is None:
        raise ActionFailed(
            f"{what} needs a git host, and {name} is not read through a connection of type "
            f"{', '.join(sorted(HOSTS))}; define such a connection and an item of it"
        )
    return hosted
