"""Whatever happens to workers, in whatever order: each launch begins once, ends once, and none is lost."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dct_pipelines.clients.pool.launch import Launch, LaunchState
from dct_pipelines.clients.pool.roster import MOST_RETURNS, Member, Roster, Size

SIZE = Size(base=2, most=5, most_launches=3, most_bytes=100, linger_seconds=1)
KEYS = st.sampled_from([f"k{number}" for number in range(8)])


class PoolHistory(RuleBasedStateMachine):
    """A zygote's loop whose workers are at the mercy of hypothesis."""

    def __init__(self) -> None:
        super().__init__()
        self.roster = Roster(SIZE)
        self.now = 0.0
        self.next_pid = 1
        self.accepted: Counter[str] = Counter()
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.never_begun: Counter[str] = Counter()

    @rule(key=KEYS, alone=st.booleans(), again=st.booleans())
    def launch(self, key: str, alone: bool, again: bool) -> None:
        if self.roster.accept(Launch(key, alone=alone, again=again)):
            assert again or not self.accepted[key]
            self.accepted[key] += 1

    @rule(seconds=st.sampled_from([0.1, 1.0, 40.0]))
    def turn(self, seconds: float) -> None:
        self.now += seconds
        self.roster.assign(self.now)
        shared, alone = self.roster.missing(self.now)
        for number in range(shared + alone):
            self.roster.forked(self.next_pid, self.now, alone=number >= shared)
            self.next_pid += 1
        for member in list(self.roster.spare(self.now)):
            assert member.launch is None
            self.roster.retire(member, self.now)

    @rule(data=st.data())
    def a_worker_is_ready(self, data: st.DataObject) -> None:
        if member := self._one(data, lambda one: not one.is_ready):
            self.roster.ready(member.pid, self.now)

    @rule(data=st.data())
    def a_worker_begins(self, data: st.DataObject) -> None:
        if member := self._one(data, lambda one: one.launch is not None and not one.has_begun):
            assert member.launch is not None
            self.begun[member.launch.key] += 1
            self.roster.began(member.pid, member.launch.key)

    @rule(data=st.data(), size=st.sampled_from([50, 150]))
    def a_worker_is_through(self, data: st.DataObject, size: int) -> None:
        if member := self._one(data, lambda one: one.launch is not None and one.has_begun):
            assert member.launch is not None
            self.ended[member.launch.key] += 1
            self.roster.done(member.pid, member.launch.key, size, self.now)

    @rule(data=st.data())
    def a_worker_is_told_to_stop(self, data: st.DataObject) -> None:
        if member := self._one(data, lambda one: one.launch is not None and one.asked_at is None):
            member.asked_at, member.because = self.now, "it was told to stop"

    @rule(data=st.data())
    def a_worker_dies(self, data: st.DataObject) -> None:
        if member := self._one(data, lambda _one: True):
            self.roster.died(member.pid, "killed", self.now)
            launch = member.launch
            if launch is not None and self.roster.state(launch.key) is LaunchState.ENDED:
                self.ended[launch.key] += 1
                self.never_begun[launch.key] += not member.has_begun

    @rule(key=KEYS)
    def withdraw(self, key: str) -> None:
        if self.roster.withdraw(key):
            self.ended[key] += 1
            self.never_begun[key] += 1

    @precondition(lambda self: self.roster.waiting)
    @rule()
    def close(self) -> None:
        self.roster.is_closing = True

    @invariant()
    def each_launch_is_begun_and_ended_once_and_none_is_lost(self) -> None:
        for key, accepted in self.accepted.items():
            assert self.begun[key] + self.never_begun[key] <= accepted
            open_now = self.roster.state(key) in (LaunchState.QUEUED, LaunchState.RUNNING)
            assert self.ended[key] + open_now == accepted, key

    @invariant()
    def there_are_never_too_many_workers(self) -> None:
        assert len(self.roster.members) <= SIZE.most

    @invariant()
    def two_workers_never_have_the_same_launch(self) -> None:
        at_work = [one.launch.key for one in self.roster.members.values() if one.launch is not None]
        assert len(at_work) == len(set(at_work)) == self.roster.busy

    def teardown(self) -> None:
        """Left alone with workers that live, every launch ends."""
        for _ in range(40 + MOST_RETURNS):
            self.turn(40.0)
            for member in list(self.roster.members.values()):
                if not member.is_ready:
                    self.roster.ready(member.pid, self.now)
                elif member.launch is not None:
                    self.roster.began(member.pid, member.launch.key)
                    self.roster.done(member.pid, member.launch.key, 0, self.now)
                elif member.is_retired:
                    self.roster.died(member.pid, "let go", self.now)
        assert self.roster.is_empty

    def _one(self, data: st.DataObject, fits) -> Member | None:
        fitting = [one for one in self.roster.members.values() if fits(one)]
        return data.draw(st.sampled_from(fitting), label="worker") if fitting else None


TestPoolHistory = PoolHistory.TestCase
