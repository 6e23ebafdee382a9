"""Where an item of a git host is: the repository, and the pull request's number if it is one.

GitHub says `/pull/12`, GitLab `/-/merge_requests/12`, Gitea and Forgejo `/pulls/12`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from dct_pipelines.domain.words import ItemKind

_PULL = re.compile(r"(?P<repository>.+?)/(?:-/merge_requests|pulls?)/(?P<number>[1-9]\d{0,9})")
_PART = re.compile(r"[\w.+~-]+")


@dataclass(frozen=True, slots=True)
class HostedPlace:
    """`repository` is `owner/name` (with groups on GitLab), without `.git`; `number` of a pull request."""

    repository: str
    number: int | None = None


def place_of(location: str, root: str = "") -> HostedPlace | None:
    """What a location names, or None when it names neither a repository nor a pull request.

    `root` is the path below which a host lies that does not have its address for itself alone.
    """
    path = unquote(urlsplit(location).path) if "://" in location else location
    path = path.removeprefix(root.rstrip("/")).strip("/")
    number = None
    if found := _PULL.fullmatch(path):
        path, number = found["repository"], int(found["number"])
    path = path.removesuffix(".git")
    parts = path.split("/")
    if len(parts) < 2 or any(part in (".", "..") or not _PART.fullmatch(part) for part in parts):
        return None
    return HostedPlace(path, number)


def place_fault(kind: ItemKind, location: str) -> str | None:
    """What is wrong with a location of an item, or None."""
    place = place_of(location)
    if place is None:
        return "name the repository as owner/name, a pull request as owner/name/pull/12"
    if kind is ItemKind.PULL_REQUEST and place.number is None:
        return "name the pull request with its number, e.g. owner/name/pull/12"
    if kind is ItemKind.GIT_REPOSITORY and place.number is not None:
        return "name the repository only, as owner/name; a pull request is an item of type pull_request"
    return None
