"""What is old: by age, by month, and never keys before what they stand for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.retention import MONTHS_AHEAD, RetentionPolicy, month_of, months_ahead, next_month

moments = st.integers(946_684_800, 4_102_444_800).map(lambda at: datetime.fromtimestamp(at, UTC))
days = st.integers(1, 4000)


@given(moments)
def test_a_month_begins_before_all_of_it_and_the_next_one_after(moment):
    begin = month_of(moment)
    assert begin <= moment < next_month(moment)
    assert begin == month_of(begin)
    assert (next_month(begin) - begin).days in (28, 29, 30, 31)


def test_the_month_of_a_moment_is_that_of_utc():
    kiritimati = timezone(timedelta(hours=14))
    assert month_of(datetime(2026, 3, 1, 1, tzinfo=kiritimati)) == datetime(2026, 2, 1, tzinfo=UTC)


@given(moments, days)
def test_a_month_is_old_when_its_last_moment_is(now, kept):
    policy = RetentionPolicy(kept, 1)
    begin = policy.month_cutoff(now)
    assert begin <= policy.cutoff(now) < next_month(begin)


@given(moments, days, days)
def test_keys_are_kept_at_least_as_long_as_what_they_stand_for(now, kept, keys):
    policy = RetentionPolicy(kept, keys)
    assert policy.key_cutoff(now) <= policy.cutoff(now)


@given(moments)
def test_the_months_ahead_follow_one_another(now):
    months = months_ahead(now)
    assert months[0] == month_of(now)
    assert len(months) == MONTHS_AHEAD + 1
    assert all(next_month(one) == other for one, other in pairwise(months))
