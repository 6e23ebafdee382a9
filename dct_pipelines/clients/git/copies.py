"""Asking the copy of a repository: what it lacks is fetched, what is damaged replaced, then asked again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from dct_pipelines.clients.git import history
from dct_pipelines.clients.git.cache import Cache
from dct_pipelines.clients.git.calls import Calls
from dct_pipelines.clients.git.failures import CacheDamaged, Locked, NotHad, Refused
from dct_pipelines.clients.git.locations import Location, locate
from dct_pipelines.domain.errors import ItemTemporarilyUnreadable, ItemUnreadable
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.git_refs import Oid, as_oid

Answer = TypeVar("Answer")
_SEEN = "refs/dct/seen/"


class Copies:
    """The cache, with the ways to fill and to mend it."""

    def __init__(self, folder: Path, calls: Calls) -> None:
        self.cache = Cache(folder, calls)
        self._calls = calls

    def ask(self, repo: RepositoryRef, needed: Sequence[Oid], question: Callable[[Path], Answer]) -> Answer:
        """Ask about the commits `needed`; `ItemUnreadable` when the repository no longer has one of them."""
        location = locate(repo.url)
        wanted = {str(oid): as_oid(oid) for oid in needed}

        def ask() -> Answer:
            with self.cache.reading(location) as path:
                return question(path)

        try:
            return self.mending(location, ask)
        except Refused as refused:
            if not self.mending(location, lambda: self._lacks(location, needed)):
                raise ItemTemporarilyUnreadable(
                    f"git could not answer from its cache: {refused}"
                ) from refused
        if gone := self.bring(repo, location, wanted):
            named = ", ".join(sorted(gone)[:5])
            raise ItemUnreadable(
                f"{location.url} no longer has {named}: deleted or forced away in the meantime"
            )
        try:
            return self.mending(location, ask)
        except Refused as refused:
            raise ItemTemporarilyUnreadable(f"git could not answer from its cache: {refused}") from refused

    def bring(self, repo: RepositoryRef, location: Location, wanted: Mapping[str, Oid]) -> frozenset[Oid]:
        """Fetch what is not there yet, by object id: exactly what was seen, even when names have moved on.

        The keys are reference names, or the ids themselves. Returns what the repository no longer has.
        """

        def work() -> frozenset[Oid]:
            digits = len(next(iter(wanted.values()), "")) or 40
            with self.cache.writing(location, digits) as path:
                lacking = set(history.absent(self._calls, path, wanted.values()))
                if lacking:
                    self._fetch(repo, location, path, [pair for pair in wanted.items() if pair[1] in lacking])
                    self.cache.tidy(path)
                return frozenset(history.absent(self._calls, path, lacking))

        try:
            return self.mending(location, work)
        except Refused as refused:
            raise ItemTemporarilyUnreadable(f"the git cache could not be filled: {refused}") from refused

    def mending(self, location: Location, work: Callable[[], Answer]) -> Answer:
        """Do it; after damage once more, on a new copy, and after a left-over lock once more without it."""
        try:
            return work()
        except Locked:
            with self.cache.writing(location) as path:
                self.cache.remove_stale_locks(path)
        except CacheDamaged:
            self.cache.discard(location)
        try:
            return work()
        except (CacheDamaged, Locked) as error:
            raise ItemUnreadable(
                f"the repository at {location.url} is damaged; run `git fsck`: {error}"
            ) from error

    def _lacks(self, location: Location, needed: Sequence[Oid]) -> bool:
        with self.cache.writing(location, len(needed[0]) if needed else 40) as path:
            return bool(history.absent(self._calls, path, needed))

    def _fetch(
        self, repo: RepositoryRef, location: Location, path: Path, wanted: Sequence[tuple[str, Oid]]
    ) -> None:
        """One call; one that is gone makes git refuse all, so the rest is then found by halving."""
        try:
            self._fetch_once(repo, location, path, [(oid, name) for name, oid in wanted])
            return
        except NotHad:
            if len(wanted) > 1:
                middle = len(wanted) // 2
                self._fetch(repo, location, path, wanted[:middle])
                self._fetch(repo, location, path, wanted[middle:])
                return
        name = wanted[0][0]
        if name.startswith("refs/"):
            try:
                self._fetch_once(repo, location, path, [(name, name)])
            except NotHad:
                return

    def _fetch_once(
        self, repo: RepositoryRef, location: Location, path: Path, pairs: Sequence[tuple[str, str]]
    ) -> None:
        refspecs = "".join(f"+{source}:{_SEEN}{_hashed(name)}\n" for source, name in pairs)
        options = "-q --stdin --no-tags --no-write-fetch-head --no-auto-maintenance --update-shallow".split()
        self._calls.remote(
            repo,
            location,
            "fetch",
            *options,
            "--end-of-options",
            location.url,
            git_dir=path,
            stdin=refspecs.encode(),
            timeout_seconds=self._calls.limits.fetch_timeout_seconds,
        )


def _hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:40]
