"""What every call budget does, the stored one and the one in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dct_pipelines.domain.connected import CallBudget
from dct_pipelines.domain.errors import Throttled
from dct_pipelines.store.budgets import StoredBudgets
from tests.fakes.budget import FakeBudget
from tests.fakes.ports import NOON, FakeClock

pytestmark = pytest.mark.integration


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture(params=["stored", "fake"])
def budget(request: pytest.FixtureRequest, clock: FakeClock) -> CallBudget:
    if request.param == "fake":
        return FakeBudget(clock)
    return StoredBudgets(request.getfixturevalue("database"), "jira example.org env:TOKEN", clock)


def test_calls_beyond_the_limit_wait_and_get_through_when_they_were_told(
    budget: CallBudget, clock: FakeClock
):
    for _ in range(3):
        budget.take("search", 3)
    with pytest.raises(Throttled) as caught:
        budget.take("search", 3)
    assert caught.value.not_before > NOON
    clock.time = caught.value.not_before
    budget.take("search", 3)


def test_buckets_are_counted_apart_and_without_a_limit_all_get_through(budget: CallBudget):
    budget.take("search", 1)
    budget.take("comments", 1)
    for _ in range(20):
        budget.take("rest")


def test_nobody_calls_while_the_provider_asked_to_wait(budget: CallBudget, clock: FakeClock):
    budget.told("search", not_before=NOON + timedelta(minutes=3))
    with pytest.raises(Throttled) as caught:
        budget.take("search")
    assert caught.value.not_before == NOON + timedelta(minutes=3)
    budget.take("comments")
    clock.time = caught.value.not_before
    budget.take("search")
