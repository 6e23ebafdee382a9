"""Reading an item of a git host: the references of a repository by git, its pull requests by the host.

The three hosts' listeners share this; what differs is behind `HostReader`. Costs of an unchanged repository:
one `git ls-remote` and one call of the host, and one more while there are heads whose checks may still end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from dct_pipelines.domain.errors import ItemUnreadable
from dct_pipelines.domain.git_refs import HEADS, RefSnapshot
from dct_pipelines.domain.hosting.heads import MOST_HEADS, Heads
from dct_pipelines.domain.hosting.places import place_fault, place_of
from dct_pipelines.domain.hosting.reader import HostedCheck, HostedRepository
from dct_pipelines.domain.hosting.requests import RequestsReading, Step
from dct_pipelines.domain.hosting.token import HostToken
from dct_pipelines.domain.listener import Page, ReadContext, SnapshotReader, WatchedItem
from dct_pipelines.domain.repository import listen as references
from dct_pipelines.domain.repository.listen import GitRepositoryItem
from dct_pipelines.domain.repository.token import GitToken
from dct_pipelines.domain.snapshot import BranchState, State
from dct_pipelines.domain.words import ItemKind

EVENT_KINDS = references.EVENT_KINDS | frozenset(
    {"comment_added", "comment_edited", "comment_deleted", "text_changed", "pull_request_assessed"}
)
"""What a read of a host's item gives."""
ITEM_KINDS = frozenset({ItemKind.GIT_REPOSITORY, ItemKind.PULL_REQUEST})
MOST_NOTES = 10


class HostedItem(GitRepositoryItem):
    """What is special about an item of a git host."""


def read(item: WatchedItem, context: ReadContext, port: HostedRepository) -> Iterator[Page]:
    """Pages of what changed since the last read; the first read takes everything as it is."""
    token = HostToken.model_validate(item.token)
    if item.kind is ItemKind.PULL_REQUEST:
        yield _request_page(item, context, port, token)
        return
    refs = port.git.refs()
    heads = _heads(item, context, refs, token)
    polled = port.host.checks(heads.commits) if heads.commits else {}
    watched = token.requests.model_copy(update={"watched": heads.stored()})
    token = token.model_copy(update={"requests": watched})
    git = token.git
    notes: tuple[str, ...] = ()
    for page in references.read(replace(item, token=git), _with_checks(context, polled), port.git, refs=refs):
        notes = page.notes
        if not page.is_unchanged or page.token != git:
            git = dict(page.token or {})
            yield replace(page, token=_stored(token, git=git), is_last=False)
    token = token.model_copy(update={"git": git})
    reading = RequestsReading(item, context, port.host, token.requests, heads, polled)
    for step in reading.steps():
        yield _page(item, token, step, (*notes, *reading.notes))


def _request_page(item: WatchedItem, context: ReadContext, port: HostedRepository, token: HostToken) -> Page:
    """A pull request of its own: one call, and one more for checks."""
    place = place_of(item.location)
    if place is None or place.number is None:
        raise ItemUnreadable(f"{item.name}: {place_fault(item.kind, item.location)}; correct its location")
    heads = Heads.of(token.requests.watched)
    reading = RequestsReading(item, context, port.host, token.requests, heads, {})
    return _page(item, token, reading.single(place.number), tuple(reading.notes))


def _heads(item: WatchedItem, context: ReadContext, refs: RefSnapshot, token: HostToken) -> Heads:
    """The commits whose checks are asked for now: those of before, and heads that are new."""
    heads = Heads.of(token.requests.watched)
    git = GitToken.model_validate(token.git)
    if git.refs == refs.digest:
        return heads
    new: Collection[str]
    if git.epoch is None:
        default = GitRepositoryItem.model_validate(item.config).default_of(refs)
        others = [head for branch, head in sorted(refs.branches.items()) if branch != default]
        first = [refs.branches[default]] if default else []
        new = list(dict.fromkeys([*first, *others]))[:MOST_HEADS]
    else:
        stored = context.snapshots.below(item.id, HEADS)
        known = {state.head for state in stored.values() if isinstance(state, BranchState)}
        new = [head for head in dict.fromkeys(refs.branches.values()) if head not in known]
    return heads.with_branches(new, frozenset(refs.branches.values()), context.now)


def _with_checks(context: ReadContext, polled: Mapping[str, Mapping[str, HostedCheck]]) -> ReadContext:
    """With what the host says of checks beside what was reported to us; of one name, the host's counts."""
    checks = {commit: dict(reports) for commit, reports in context.checks.items()}
    for commit, answers in polled.items():
        told = {name: {"state": check.state, "url": check.url} for name, check in answers.items()}
        if told:
            checks[commit] = {**checks.get(commit, {}), **told}
    return replace(context, snapshots=_OfReferences(context.snapshots), checks=checks)


@dataclass(frozen=True)
class _OfReferences:
    """Only branches and tags: what else the item has is not the references' business, and may be much."""

    inner: SnapshotReader

    def states(self, item_id: UUID) -> Mapping[str, State]:
        return self.inner.below(item_id, "refs/")

    def of_subjects(self, subjects: Collection[tuple[UUID, str]]) -> Mapping[tuple[UUID, str], State]:
        return self.inner.of_subjects(subjects)

    def below(self, item_id: UUID, prefix: str) -> Mapping[str, State]:
        return self.inner.below(item_id, prefix)


def _stored(token: HostToken, **changes: object) -> Mapping[str, object]:
    return token.model_copy(update=changes).stored()


def _page(item: WatchedItem, token: HostToken, step: Step, notes: tuple[str, ...]) -> Page:
    more = (f"and {len(notes) - MOST_NOTES} more",) if len(notes) > MOST_NOTES else ()
    return Page(
        item_id=item.id,
        token=_stored(token, requests=step.token),
        events=tuple(step.changes.events),
        snapshots=tuple(step.changes.snapshots),
        removed=tuple(step.changes.removed),
        is_last=step.is_last,
        notes=(*notes[:MOST_NOTES], *more),
        dead_letters=step.letters,
    )
