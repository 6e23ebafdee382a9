"""Credentials of connections that end before long, as signs: told while everything still works."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dct_pipelines.domain.incidents import AlertRule, Sign
from dct_pipelines.engine.alerts.connections import group_of
from dct_pipelines.engine.expiring import Ending


def expiring_signs(endings: Iterable[Ending]) -> Iterator[Sign]:
    """A sign for each, until its connection has a credential that ends later or not at all.

    The subject has spaces, which no name has, so that it is never taken for a connection.
    """
    for one in endings:
        yield Sign(
            AlertRule.CONNECTION,
            f"credential of {one.connection}",
            f"{one.says[0].upper()}{one.says[1:]}: {one.mend}",
            group=group_of(one.connection),
            figures={"ends_at": one.ends_at.isoformat()},
        )
