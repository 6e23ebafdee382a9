"""`dct status`: are the sources read, what waits and why, what runs, is Dagster alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from dct_pipelines.cli.options import Json

if TYPE_CHECKING:
    from dct_pipelines.engine.status import Status

MANY_ITEMS = 30
"""Of a connection with more, only the items that are not well get a line of their own."""


def status(json_output: Json = False) -> None:
    """How things stand: sources, queue with its reasons to wait, runs, daemons, isolation.

    Exit code 1 when something needs attention.
    """
    from dct_pipelines.cli.output import print_json
    from dct_pipelines.cli.session import services
    from dct_pipelines.instance.heartbeats import DaemonHeartbeats

    with services() as app:
        found = app.status_by(DaemonHeartbeats(app.database)).status()
    if json_output:
        print_json({**_plain(found), "problems": list(found.problems)})
    else:
        _show(found)
    if found.problems:
        raise typer.Exit(1)


def _plain(found: Status) -> dict[str, object]:
    return dict(found.model_dump(mode="json"))


def _show_sources(found: Status) -> None:
    """A sentence for each item; of a connection with many only for those that are not well, and a count."""
    from collections import Counter

    from dct_pipelines.cli.output import say

    items = Counter(source.connection for source in found.sources)
    well: Counter[str | None] = Counter()
    told: set[str] = set()
    for source in found.sources:
        if source.is_well and items[source.connection] > MANY_ITEMS:
            well[source.connection] += 1
        elif (words := source.in_words(found.at)) not in told:
            told.add(words)
            say(words, "" if source.is_well else "red")
    for connection, count in well.items():
        whose = f"items of {connection}" if connection else "static items"
        say(f"{count} of {items[connection]} {whose} are well; --json has each.")


def _show(found: Status) -> None:
    from dct_pipelines.cli.output import say, short, table

    _show_sources(found)
    if not found.sources:
        say("Nothing is watched yet: dct connection add, dct item add.")
    rows = [[one.reason or "its turn", one.count, one.oldest, one.until, one.detail] for one in found.waiting]
    table(("waiting for", "executions", "oldest", "until", "detail"), rows, empty="nothing waits")
    runs = [
        [short(one.id), one.trigger, one.subject, one.status, one.attempt, one.dagster_run_id]
        for one in found.executing
    ]
    table(("execution", "trigger", "subject", "state", "attempt", "Dagster run"), runs, empty="nothing runs")
    ended = ", ".join(f"{count} {state}" for state, count in found.ended_last_hour.items())
    say(f"last hour: {ended or 'nothing ended'}")
    say(f"quotas: {_in_use(found)}")
    counts = ", ".join(f"{count} {state}" for state, count in sorted(found.incidents.items()))
    say(f"incidents: {counts or 'none'}")
    daemons = ", ".join(f"{one.name} {'ok' if one.is_healthy else 'down'}" for one in found.daemons)
    say(f"Dagster's daemons: {daemons or 'none is known; start them with dct up'}")
    say(f"isolation of commands: {found.isolation.level} ({found.isolation.explanation})")
    for problem in found.problems:
        say(f"! {problem}", "red")


def _in_use(found: Status) -> str:
    from dct_pipelines.engine.quotas import OFF

    if not found.quotas.is_enabled:
        return OFF
    counted = (one for one in found.quotas.quotas if one.in_use is not None)
    return ", ".join(f"{one.in_use} of {one.value} {one.name}" for one in counted)
