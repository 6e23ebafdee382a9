"""Call budgets: one row a credential and bucket, shared by processes, over a sliding minute."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dct_pipelines.domain.errors import Throttled
from dct_pipelines.store.budgets import StoredBudgets, account_of, spent
from dct_pipelines.store.database import Database
from tests.fakes.ports import NOON, FakeClock

pytestmark = pytest.mark.integration
SEARCHES = "search"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def budget(database: Database, clock: FakeClock) -> StoredBudgets:
    return StoredBudgets(database, "jira example.org env:TOKEN", clock)


def taken(budget: StoredBudgets, limit: int) -> int:
    """How many calls there are now."""
    for count in range(1000):
        try:
            budget.take(SEARCHES, limit)
        except Throttled:
            return count
    raise AssertionError("there is no end of calls")


def test_a_minute_has_as_many_calls_as_its_limit_and_says_when_it_goes_on(budget, clock):
    assert taken(budget, 10) == 10
    with pytest.raises(Throttled, match="10 calls a minute are used up") as raised:
        budget.take(SEARCHES, 10)
    assert NOON + timedelta(minutes=1) < raised.value.not_before <= NOON + timedelta(minutes=2)
    clock.time = raised.value.not_before
    budget.take(SEARCHES, 10)


def test_a_burst_at_the_end_of_a_minute_leaves_none_for_the_beginning_of_the_next(budget, clock):
    clock.time = NOON + timedelta(seconds=59)
    assert taken(budget, 20) == 20
    clock.advance(seconds=2)
    assert taken(budget, 20) == 0
    clock.advance(seconds=30)
    assert taken(budget, 20) == 10


def test_buckets_and_accounts_are_counted_apart(budget, database, clock):
    assert taken(budget, 3) == 3
    budget.take("comments", 3)
    assert taken(StoredBudgets(database, "jira example.org env:OTHER", clock), 3) == 3


def test_two_connections_with_the_same_credential_share_it_and_threads_do_too(budget, database, clock):
    same = StoredBudgets(database, budget.account, clock)
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda one: taken(one, 40), [budget, same, budget, same]))
    assert sum(counts) == 40


def test_nobody_calls_while_the_provider_asked_to_wait(budget, clock):
    until = NOON + timedelta(minutes=7)
    budget.told(SEARCHES, not_before=until)
    budget.told(SEARCHES, not_before=until - timedelta(minutes=3))
    with pytest.raises(Throttled, match="asked us to wait") as raised:
        budget.take(SEARCHES)
    assert raised.value.not_before == until
    clock.time = until
    budget.take(SEARCHES)


def test_what_the_provider_says_is_left_is_counted_down_until_it_resets(budget, clock):
    reset = NOON + timedelta(minutes=30)
    budget.told(SEARCHES, remaining=2, resets_at=reset)
    budget.take(SEARCHES)
    budget.take(SEARCHES)
    with pytest.raises(Throttled, match="takes no more calls") as raised:
        budget.take(SEARCHES)
    assert raised.value.not_before == reset
    clock.time = reset
    budget.take(SEARCHES)


def test_how_a_bucket_stands_is_told_for_this_minute_and_the_one_before(budget, database, clock):
    assert taken(budget, 4) == 4
    clock.advance(seconds=90)
    budget.take(SEARCHES, 4)
    budget.told(SEARCHES, remaining=9, resets_at=clock.now() + timedelta(minutes=1))
    with database.connect() as connection:
        (now,) = spent(connection, budget.account, clock.now())
        (later,) = spent(connection, budget.account, clock.now() + timedelta(minutes=1))
        (much_later,) = spent(connection, budget.account, clock.now() + timedelta(hours=1))
    assert (now.calls, now.calls_before, now.limit_per_minute, now.remaining) == (1, 4, 4, 9)
    assert (later.calls, later.calls_before, later.remaining) == (0, 1, None)
    assert (much_later.calls, much_later.calls_before, much_later.resets_at) == (0, 0, None)


@pytest.mark.parametrize(
    ("base", "credential", "account"),
    [
        ("https://Example.atlassian.net/jira", "env:T", "jira example.atlassian.net env:T"),
        ("imap.example.org", None, "jira imap.example.org anonymous"),
        ("", "file:/run/t", "jira jira file:/run/t"),
    ],
)
def test_an_account_is_a_credential_at_a_host(base, credential, account):
    assert account_of("jira", base, credential) == account


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 12),
    pauses=st.lists(st.floats(0, 70, allow_nan=False), min_size=1, max_size=30),
)
def test_whoever_waits_as_told_gets_through_and_no_minute_has_more_than_it_may(database, limit, pauses):
    clock = FakeClock(NOON)
    budget = StoredBudgets(database, f"account {uuid4()}", clock)
    taken_at, waits = [], [1.0]
    for pause in pauses:
        clock.advance(seconds=pause)
        try:
            budget.take(SEARCHES, limit)
        except Throttled as throttled:
            waits.append((throttled.not_before - clock.now()).total_seconds())
            clock.time = throttled.not_before
            budget.take(SEARCHES, limit)
        taken_at.append(clock.now())
    minutes = Counter(moment.replace(second=0, microsecond=0) for moment in taken_at)
    assert max(minutes.values()) <= limit
    assert 0 < min(waits) <= max(waits) <= 120
