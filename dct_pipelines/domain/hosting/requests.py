"""One read of a repository's pull requests: those that changed, those whose checks may have, a few others.

An unchanged repository costs one call of the host: the list of what was updated is empty. The watermark moves
when the list was read to its end; a read that stops in between goes on from its cursor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from dct_pipelines.domain.errors import ItemUnreadable
from dct_pipelines.domain.hosting.changes import Known, RequestChanges
from dct_pipelines.domain.hosting.heads import LONGEST_PENDING, YOUNG, Heads
from dct_pipelines.domain.hosting.keys import ANY_REQUEST, subject_of
from dct_pipelines.domain.hosting.reader import HostedCheck, HostedState, HostReader, Listed
from dct_pipelines.domain.hosting.token import Drain, RequestsToken, Sweep
from dct_pipelines.domain.listener import DeadLetter, ReadContext, WatchedItem
from dct_pipelines.domain.repository.plan import reports_of
from dct_pipelines.domain.repository.token import digest_of_checks
from dct_pipelines.domain.snapshot import CommentState, PullRequestState
from dct_pipelines.domain.words import CheckState

OVERLAP = timedelta(seconds=60)
"""What was updated so shortly before a read may be listed only by the next one."""
SETTLED = timedelta(seconds=10)
"""What was updated so shortly before it was read may have changed again under the same time."""
LONGEST_DRAIN = timedelta(hours=1)
"""A cursor is not trusted for longer; the list is read from its beginning then."""
SWEEP_EVERY = timedelta(minutes=15)
MOST_TRIES = 20
MOST_MISSED = 50
Answers = Mapping[str, Mapping[str, HostedCheck]]


@dataclass
class Step:
    """What one page stores of pull requests, and the token behind it."""

    changes: RequestChanges
    token: RequestsToken
    letters: tuple[DeadLetter, ...] = ()
    is_last: bool = False


@dataclass
class RequestsReading:
    """`polled` are the checks of `heads`, read just now. `notes` says what could not be read."""

    item: WatchedItem
    context: ReadContext
    host: HostReader
    token: RequestsToken
    heads: Heads
    polled: Answers
    notes: list[str] = field(default_factory=list)
    _letters: list[DeadLetter] = field(default_factory=list)
    _taken: set[int] = field(default_factory=set)
    """Pull requests that this read has looked at."""

    def steps(self) -> Iterator[Step]:
        """Every page with something on it, then a last one with the token that the read leaves.

        A step is stored before the next one is asked for: what it compares with is what is stored.
        """
        for work in (self._drained, self._tried_again, self._checked, self._swept):
            for changes in work():
                if changes.has_any:
                    generation = self.token.generation + 1
                    self.token = self.token.model_copy(update={"generation": generation})
                    yield self._step(changes)
        yield replace(self._step(self._changes()), is_last=True)

    def single(self, number: int) -> Step:
        """One pull request, whole. `ItemUnreadable` when it cannot be read."""
        is_baseline = self.token.epoch is None
        if is_baseline:
            self.token = self.token.model_copy(update={"epoch": self.context.now})
        self.heads = self.heads.settled(self.polled, self.context.now)
        changes = self._changes()
        self._take([number], changes, is_baseline=is_baseline)
        if number in self.token.missed:
            raise ItemUnreadable(f"{self.item.name}: {self.notes[-1]}; check its location")
        if changes.has_any:
            self.token = self.token.model_copy(update={"generation": self.token.generation + 1})
        return replace(self._step(changes), is_last=True)

    def _step(self, changes: RequestChanges) -> Step:
        letters, self._letters = tuple(self._letters), []
        return Step(changes, self.token.model_copy(update={"watched": self.heads.stored()}), letters)

    def _changes(self) -> RequestChanges:
        return RequestChanges(self.item.id, self.context.now, self.token)

    def _checked(self) -> Iterator[RequestChanges]:
        """Pull requests that are as they were, but for the checks of their head.

        What else changed was read before: a check of a head that is no longer the present one is no news.
        """
        missed = self.token.missed
        numbers = {number for head in self.heads.by_commit.values() for number in head.numbers}
        subjects = [(self.item.id, subject_of(number)) for number in sorted(numbers)]
        states = list(self.context.snapshots.of_subjects(subjects).values())
        reported = digest_of_checks(self.context.checks)
        if reported != self.token.reported and self.context.checks:
            states = list(self.context.snapshots.below(self.item.id, ANY_REQUEST).values())
        self.token = self.token.model_copy(update={"reported": reported})
        changes = self._changes()
        for state in states:
            if isinstance(state, PullRequestState) and state.is_open and state.number not in missed:
                changes.checked(state, self._checks_of(state.head, state, self.polled))
        yield changes
        self.heads = self.heads.settled(self.polled, self.context.now)

    def _drained(self) -> Iterator[RequestChanges]:
        token, now = self.token, self.context.now
        drain = token.drain
        if drain is not None and now - drain.started > LONGEST_DRAIN:
            drain = None
        is_baseline = token.watermark is None
        while True:
            cursor = drain.cursor if drain else None
            listing = (
                self.host.open(cursor)
                if token.watermark is None
                else self.host.changed(token.watermark, cursor)
            )
            as_of = drain.as_of if drain else listing.as_of
            started = drain.started if drain else now
            if self.token.epoch is None:
                self.token = self.token.model_copy(update={"epoch": as_of})
            self._letters.extend(listing.letters)
            changes = self._changes()
            self._take(self._unsettled(listing.entries), changes, is_baseline=is_baseline)
            if listing.cursor is None:
                self._drained_at(as_of)
                yield changes
                return
            drain = Drain(cursor=listing.cursor, as_of=as_of, started=started)
            self.token = self.token.model_copy(update={"drain": drain})
            yield changes

    def _drained_at(self, as_of: datetime) -> None:
        sweep = self.token.sweep or Sweep(due_at=self.context.now + SWEEP_EVERY)
        done = {"drain": None, "watermark": as_of - OVERLAP, "read_at": as_of, "sweep": sweep}
        self.token = self.token.model_copy(update=done)

    def _unsettled(self, entries: Sequence[Listed]) -> list[int]:
        """Without those that were read, as they are, when their last second was over."""
        read_at = self.token.read_at
        old = {entry.number: entry for entry in entries if read_at and entry.updated_at < read_at - SETTLED}
        states = self._states(old)
        return [
            entry.number
            for entry in entries
            if entry.number not in states or states[entry.number].updated != entry.updated
        ]

    def _tried_again(self) -> Iterator[RequestChanges]:
        changes = self._changes()
        before = self.token.missed
        again = [number for number in before if number not in self._taken]
        self._take(again, changes)
        yield changes

    def _swept(self) -> Iterator[RequestChanges]:
        """A few open pull requests, whole, for what counts as no update of them; the rest by later reads."""
        sweep, now = self.token.sweep, self.context.now
        if sweep is None or (sweep.cursor is None and now < sweep.due_at):
            return
        listing = self.host.open(sweep.cursor)
        changes = self._changes()
        self._take([entry.number for entry in listing.entries if entry.number not in self._taken], changes)
        due_at = sweep.due_at if listing.cursor else now + SWEEP_EVERY
        sweep = Sweep(cursor=listing.cursor, due_at=due_at)
        self.token = self.token.model_copy(update={"sweep": sweep})
        yield changes

    def _take(self, numbers: Sequence[int], changes: RequestChanges, *, is_baseline: bool = False) -> None:
        """Read these whole, and add what changed."""
        if not numbers:
            return
        answer = self.host.requests(numbers)
        self._letters.extend(answer.letters)
        checks: Answers = self.polled
        if unknown := sorted({state.head for state in answer.states} - checks.keys()):
            checks = {**checks, **self.host.checks(unknown)}
        states = self._states([state.number for state in answer.states])
        for hosted in answer.states:
            stored = states.get(hosted.number)
            named = self._checks_of(hosted.head, stored, checks)
            if is_baseline or hosted.number in self.token.unread:
                changes.take_as_it_is(hosted, named)
            else:
                changes.take(hosted, named, Known(stored, self._comments(hosted)))
            self._watch(hosted, stored, named)
        self._remember({state.number for state in answer.states}, answer.missing, is_baseline=is_baseline)

    def _watch(
        self, hosted: HostedState, stored: PullRequestState | None, checks: Mapping[str, CheckState]
    ) -> None:
        now = self.context.now
        age = now - hosted.updated_at
        is_pending = CheckState.PENDING in checks.values() and age < LONGEST_PENDING
        is_new = (stored is None and age < YOUNG) or (stored is not None and stored.head != hosted.head)
        head = hosted.head if hosted.is_open else None
        self.heads = self.heads.with_request(hosted.number, head, now, is_news=is_new or is_pending)

    def _remember(self, read: Collection[int], missing: Mapping[int, str], *, is_baseline: bool) -> None:
        """What changed and could not be read is tried again; later on the sweep looks after it."""
        tries = {number: count for number, count in self.token.missed.items() if number not in read}
        unread = [number for number in self.token.unread if number not in read]
        for number, why in missing.items():
            self.notes.append(f"pull request {number} could not be read: {why}")
            tries[number] = tries.get(number, 0) + 1
            if is_baseline:
                unread.append(number)
        kept = {number: count for number, count in tries.items() if count < MOST_TRIES}
        left = {
            "missed": dict(list(kept.items())[-MOST_MISSED:]),
            "unread": tuple(dict.fromkeys(unread))[-MOST_MISSED:],
        }
        self.token = self.token.model_copy(update=left)
        self._taken |= {*read, *missing}

    def _states(self, numbers: Sequence[int] | Mapping[int, object]) -> dict[int, PullRequestState]:
        subjects = [(self.item.id, subject_of(number)) for number in numbers]
        found = self.context.snapshots.of_subjects(subjects).values() if subjects else ()
        return {state.number: state for state in found if isinstance(state, PullRequestState)}

    def _comments(self, hosted: HostedState) -> dict[str, CommentState]:
        below = self.context.snapshots.below(self.item.id, f"{subject_of(hosted.number)}/comments/")
        return {subject: state for subject, state in below.items() if isinstance(state, CommentState)}

    def _checks_of(
        self, head: str, stored: PullRequestState | None, answers: Answers
    ) -> dict[str, CheckState]:
        """Of the head: what was known of it, what was reported to us, what the host says now."""
        known = stored.checks if stored is not None and stored.head == head else {}
        ours = {name: report.state for name, report in reports_of(self.context.checks.get(head, {})).items()}
        return {**known, **ours, **{name: check.state for name, check in answers.get(head, {}).items()}}
