"""Quotas: those of the settings, and what operators set instead."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from dct_pipelines.domain.quotas import Quota, Quotas
from dct_pipelines.store import quotas
from dct_pipelines.store.database import Database

pytestmark = pytest.mark.integration
DEFAULTS = Quotas(50, 100, 30, 200)


def test_the_settings_count_until_somebody_sets_something_else_and_again_afterwards(database: Database):
    with database.begin() as connection:
        assert quotas.in_force(connection, DEFAULTS) == DEFAULTS
        quotas.put(connection, Quota.AGENTS, 7, "kim")
        quotas.put(connection, Quota.AGENTS, 0, "alex")
        assert quotas.in_force(connection, DEFAULTS) == Quotas(50, 0, 30, 200)
        found = quotas.set_by_operators(connection)[Quota.AGENTS]
        assert (found.value, found.set_by) == (0, "alex")
        quotas.remove(connection, Quota.AGENTS)
        assert quotas.in_force(connection, DEFAULTS) == DEFAULTS


def test_whether_quotas_are_on_is_the_settings(database: Database):
    off = Quotas(50, 100, 30, 200, enabled=False)
    with database.begin() as connection:
        quotas.put(connection, Quota.WORKSPACES, 1, "kim")
        assert quotas.in_force(connection, off) == Quotas(50, 100, 30, 1, enabled=False)


@pytest.mark.parametrize(("quota", "value"), [(Quota.AGENTS, -1), (Quota.AGENT_RESERVATION_PERCENT, 101)])
def test_the_table_takes_no_value_that_means_nothing(database: Database, quota: Quota, value: int):
    with pytest.raises(IntegrityError), database.begin() as connection:
        quotas.put(connection, quota, value, "kim")
