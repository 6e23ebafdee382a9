"""Reading a repository's references: one snapshot of all a read, compared with the stored states.

An unchanged repository costs one call and one hash, whatever the number of its references and triggers.
Otherwise the difference becomes events (docs/reference/listeners.md says what can be seen and what cannot).
Names of branches and files, authors and messages are data from outside; nothing here interprets them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pydantic import Field

from dct_pipelines.domain.errors import ItemTemporarilyUnreadable
from dct_pipelines.domain.git_refs import RefSnapshot
from dct_pipelines.domain.listener import ItemConfig, Page, ReadContext, WatchedItem
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.repository.asks import BranchAsks
from dct_pipelines.domain.repository.page import PageBuilder
from dct_pipelines.domain.repository.plan import Compared, reports_of
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.repository.reading import RepositoryReading
from dct_pipelines.domain.repository.token import GitToken, digest_of_checks
from dct_pipelines.domain.snapshot import State

EVENT_KINDS = frozenset(
    {
        "branch_created",
        "head_moved",
        "force_pushed",
        "branch_deleted",
        "tag_created",
        "check_reported",
        "branch_assessed",
    }
)
"""What a read of references gives."""
PAGE_SIZE = 200
"""Events that are stored in one transaction, about."""
MAX_NOTES = 10
EMPTY_READS_BELIEVED = 3
"""A repository that had references is believed to be empty when it said so so often in a row."""


class GitRepositoryItem(ItemConfig):
    """What is special about a repository."""

    default_branch: str | None = Field(
        default=None,
        max_length=255,
        description="instead of the one that HEAD names, which in a work tree is what is checked out",
    )

    def default_of(self, refs: RefSnapshot) -> str | None:
        """The repository's default branch, if it is there."""
        branch = self.default_branch or refs.default_branch
        return branch if branch in refs.branches else None


def read(
    item: WatchedItem,
    context: ReadContext,
    port: RepositoryReader,
    *,
    page_size: int = PAGE_SIZE,
    refs: RefSnapshot | None = None,
) -> Iterator[Page]:
    """Pages of what changed since the last read; the first read takes the repository as it is.

    `refs`, when somebody has asked for them just now, are not asked for again.
    """
    token = GitToken.model_validate(item.token)
    refs = refs or port.refs()
    handled = {
        "refs": refs.digest,
        "asks": _asked(item),
        "checks": digest_of_checks(context.checks),
        "empty_reads": 0,
    }
    done = token.model_copy(update=handled)
    if token.epoch is None:
        yield _first_page(item, context, refs, done)
    elif done == token.model_copy(update={"empty_reads": 0}) and not context.due_timers:
        yield Page(item_id=item.id, token=done.stored(), notes=token.notes)
    else:
        states = context.snapshots.states(item.id)
        if refs.is_empty and states and token.empty_reads + 1 < EMPTY_READS_BELIEVED:
            yield from _disbelieved(item, token)
        compared = _compared(item, context, refs, states, token)
        done = done.model_copy(update={"notes": _notes(refs, compared.asks.missing)})
        yield from RepositoryReading(item.id, port, compared, token, done, page_size).pages()


def _asked(item: WatchedItem) -> str:
    """Changes when triggers ask for something else, or another branch is to be the default one."""
    return f"{item.asks_digest} {item.config.get('default_branch') or ''}".strip()


def _first_page(item: WatchedItem, context: ReadContext, refs: RefSnapshot, done: GitToken) -> Page:
    """Everything that is there now, without events. What is asked of it is looked at by the next read."""
    notes = _notes(refs, ())
    token = done.model_copy(update={"epoch": context.now, "generation": 1, "asks": "", "notes": notes})
    default = GitRepositoryItem.model_validate(item.config).default_of(refs)
    builder = PageBuilder(item.id, context.now, done, default)
    for branch, head in sorted(refs.branches.items()):
        builder.known_branch(branch, head, reports_of(context.checks.get(head, {})))
    for tag, commit in sorted(refs.tags.items()):
        builder.known_tag(tag, commit)
    return builder.page(token, is_last=True, notes=notes)


def _compared(
    item: WatchedItem, context: ReadContext, refs: RefSnapshot, states: Mapping[str, State], token: GitToken
) -> Compared:
    default = GitRepositoryItem.model_validate(item.config).default_of(refs)
    return Compared(
        refs=refs,
        states=states,
        asks=BranchAsks(item.asks, refs.branches, default),
        reports=context.checks,
        due=context.due_timers,
        now=context.now,
        epoch=token.epoch or context.now,
        asks_changed=token.asks != _asked(item),
        restless=frozenset(token.restless),
    )


def _disbelieved(item: WatchedItem, token: GitToken) -> Iterator[Page]:
    """Count the read, and call the repository unreadable: everything gone at once is rarely meant."""
    reads = token.empty_reads + 1
    yield Page(item.id, token.model_copy(update={"empty_reads": reads}).stored(), notes=token.notes)
    raise ItemTemporarilyUnreadable(
        f"{item.name} has no branch and no tag any more ({reads} of {EMPTY_READS_BELIEVED} reads before that "
        "is believed); restore it, or wait if it was emptied on purpose"
    )


def _notes(refs: RefSnapshot, missing: Iterable[str]) -> tuple[str, ...]:
    rejected = (f"reference {shown(ref.name)!r} cannot be used: {ref.reason}" for ref in refs.rejected)
    notes = [*missing, *rejected]
    more = (f"and {len(notes) - MAX_NOTES} more",) if len(notes) > MAX_NOTES else ()
    return (*notes[:MAX_NOTES], *more)
