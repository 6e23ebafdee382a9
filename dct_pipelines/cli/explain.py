"""`dct explain`: why something fired, or did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dct_pipelines.cli.options import Json, Limit

if TYPE_CHECKING:
    from dct_pipelines.bootstrap import App
    from dct_pipelines.domain.story import DecisionStory, EventStory, Story


def explain(
    what: Annotated[
        str,
        typer.Argument(
            help="A trigger or item by name; an event or execution by the first digits of its id."
        ),
    ],
    subject: Annotated[
        str | None,
        typer.Option(help="Only this branch, ticket, ...: e.g. feature/x, or PAY-7."),
    ] = None,
    limit: Limit = 5,
    json_output: Json = False,
) -> None:
    """Say in words what was decided about the latest events, and why, also for everything that did not fire.

    Names are looked for among triggers first, then among items; `trigger:NAME`, `item:NAME`, `event:ID` and
    `execution:ID` say which is meant. When there was no event at all, it says how the sources are read.
    """
    from dct_pipelines.cli.output import print_json
    from dct_pipelines.cli.session import services

    with services() as app:
        story = _story(app, what, subject, limit)
        now = app.outside.clock.now()
    if json_output:
        print_json(story.model_dump(mode="json"))
        return
    from dct_pipelines.cli.output import say

    say(story.about, "bold")
    read = {source.in_words(now): source.is_well for source in story.sources}
    for sentence, is_well in read.items():
        say(f"  {sentence}", "" if is_well else "red")
    for event in story.events:
        _show_event(event)
    for sentence in story.advice:
        if sentence not in read:
            say(f"  {sentence}")


def _story(app: App, what: str, subject: str | None, limit: int) -> Story:
    from dct_pipelines.cli.session import catalog_of
    from dct_pipelines.domain.errors import NotFound
    from dct_pipelines.engine.manage.history import History, is_id

    kind, colon, rest = what.partition(":")
    known = ("trigger", "item", "event", "execution")
    wanted, name = (kind, rest) if colon and kind in known else ("", what)
    history = History(app.database)
    if wanted == "event":
        return app.explainer.event(history.event_id(name))
    if wanted == "execution":
        return app.explainer.execution(history.execution_id(name))
    catalog = catalog_of(app)
    if not wanted:
        wanted = catalog.kind_of(name) or ""
    if wanted == "trigger":
        return app.explainer.trigger(name, subject=subject, limit=limit)
    if wanted == "item":
        return app.explainer.item(name, subject=subject, limit=limit)
    by_id = ((history.execution_id, app.explainer.execution), (history.event_id, app.explainer.event))
    for look_up, tell in by_id if is_id(name) else ():
        try:
            return tell(look_up(name))
        except NotFound:
            continue
    raise NotFound(f"there is no trigger, item, event or execution {name!r}; {catalog.nearest_of(name)}")


def _show_event(event: EventStory) -> None:
    from dct_pipelines.cli.output import say, short
    from dct_pipelines.domain.story import describe

    say(f"\n{describe(event.event)}  [{event.item}, event {short(event.event.id)}]", "bold")
    if not event.decisions:
        say("  no trigger watched it")
    for decision in event.decisions:
        _show_decision(decision)


def _show_decision(decision: DecisionStory) -> None:
    from dct_pipelines.cli.output import STYLES, say

    say(f"  {decision.in_words()}", STYLES.get(decision.outcome.value, ""))
    for one in decision.conditions:
        mark = "yes" if one.verdict.fired else "no "
        say(f"      {mark}  {one.type}: {one.verdict.because}", "green" if one.verdict.fired else "dim")
