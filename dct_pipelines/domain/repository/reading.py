"""One read of a repository that is not as it was: plans, asks git, and cuts the answer into pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from uuid import UUID

from dct_pipelines.domain.listener import Page
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.repository.history import History
from dct_pipelines.domain.repository.page import PageBuilder
from dct_pipelines.domain.repository.plan import BranchWork, Compared, TagWork
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.repository.token import GitToken
from dct_pipelines.domain.snapshot import BranchState

Entry = BranchState | BranchWork | TagWork
"""A branch that is gone, one to look at, a tag that is new, moved or gone."""


@dataclass
class RepositoryReading:
    """`token` is what the last page left, `done` what is left when everything was handled.

    A page has at most `page_size` events, but all events of one branch.
    """

    item_id: UUID
    reader: RepositoryReader
    compared: Compared
    token: GitToken
    done: GitToken
    page_size: int

    def pages(self) -> Iterator[Page]:
        """What changed: branches that are gone, that moved, that need another look, then tags."""
        history = History(self.reader, self.compared.refs, self.compared.asks.default)
        compared = self._settled(history)
        entries: list[Entry] = [*compared.gone(), *self._within_reach(compared, history), *compared.tags()]
        pages = list(_cut(entries, self.page_size)) or [[]]
        token, set_again = self.token, set[tuple[str, str]]()
        for page in pages[:-1]:
            builder = self._built(page, compared, history, token)
            set_again.update((timer.subject, timer.key) for timer in builder.timers)
            unfinished = {"refs": "", "restless": tuple(sorted(compared.restless))}
            token = token.model_copy(update={"generation": token.generation + 1, **unfinished})
            yield builder.page(token, is_last=False, notes=self.done.notes)
        builder = self._built(pages[-1], compared, history, token)
        set_again.update((timer.subject, timer.key) for timer in builder.timers)
        rung = ((timer.subject, timer.key) for timer in compared.due)
        builder.timers_done.extend(timer for timer in rung if timer not in set_again)
        yield self._last(builder, history, token.generation + 1)

    def _last(self, builder: PageBuilder, history: History, generation: int) -> Page:
        """All was handled, unless a head was gone when it was fetched: then the next read looks again."""
        missed = sorted(b for b, head in self.compared.refs.branches.items() if head in history.lost)
        why = "it moved on, or the repository is damaged; it is read again"
        lost = tuple(f"the head of branch {shown(b)!r} cannot be fetched: {why}" for b in missed[:10])
        notes = (*self.done.notes, *lost)
        left = {"generation": generation, "restless": (), "notes": notes}
        done = self.done.model_copy(update=left | ({"refs": ""} if missed else {}))
        return builder.page(done, is_last=True, notes=notes)

    def _settled(self, history: History) -> Compared:
        """With the targets that every branch is looked at against again: new, rewritten, now the default."""
        compared, heads = self.compared, self.compared.refs.branches
        moved = compared.moved
        targets = sorted(compared.asks.targets)
        history.fetch(moved | {target: heads[target] for target in targets if moved})
        before = (compared.stored_branch(branch) for branch in moved)
        history.fetch({state.branch: state.head for state in before if state is not None})
        restless = set(compared.restless)
        for target in targets:
            stored = compared.stored_branch(target)
            is_rewritten = target in moved and stored and not history.is_forward(stored.head, moved[target])
            is_new_default = target == compared.asks.default and stored and not stored.is_default
            if stored is None or is_rewritten or is_new_default:
                restless.add(target)
        return replace(compared, restless=frozenset(restless))

    def _within_reach(self, compared: Compared, history: History) -> Iterator[BranchWork]:
        """The work, without what needs a commit that is no longer there."""
        works = list(compared.work())
        heads = compared.refs.branches
        needed = {pair.target for work in works for pair in work.pairs}
        needed |= {work.branch for work in works if work.pairs and not work.is_moved}
        history.fetch({branch: heads[branch] for branch in sorted(needed)})
        for work in works:
            if work.head not in history.lost:
                pairs = tuple(pair for pair in work.pairs if heads[pair.target] not in history.lost)
                yield replace(work, pairs=pairs)

    def _built(
        self, entries: list[Entry], compared: Compared, history: History, token: GitToken
    ) -> PageBuilder:
        builder = PageBuilder(self.item_id, compared.now, token, compared.asks.default)
        answers = history.assess(entry for entry in entries if isinstance(entry, BranchWork))
        for entry in entries:
            match entry:
                case BranchState():
                    builder.branch_gone(entry, compared.asks.of(entry.branch))
                case BranchWork():
                    builder.branch(entry, history.change(entry), answers)
                case TagWork():
                    builder.tag(entry)
        return builder


def _cut(entries: Iterable[Entry], page_size: int) -> Iterator[list[Entry]]:
    page: list[Entry] = []
    weight = 0
    for entry in entries:
        its_weight = entry.weight if isinstance(entry, BranchWork) else 1
        if page and weight + its_weight > page_size:
            yield page
            page, weight = [], 0
        page.append(entry)
        weight += its_weight
    if page:
        yield page
