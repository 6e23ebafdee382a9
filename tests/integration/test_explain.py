"""Explanations: every event × watching trigger, also the plain no, also after everything has changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from dct_pipelines.domain.errors import NotFound
from dct_pipelines.domain.listener import Page
from dct_pipelines.domain.source import MANY_EVENTS, SourceStory
from dct_pipelines.domain.trigger import TriggerSpec
from dct_pipelines.domain.words import DecisionOutcome
from dct_pipelines.engine.compiling import broken_triggers
from dct_pipelines.engine.explain import Explainer
from dct_pipelines.engine.simulate import Simulator
from dct_pipelines.engine.sources import source_stories
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.watching import sources
from tests.support.world import NOTIFY, READY, World

PASSED = {"type": "tests_passed", "config": {"checks": ["unit"]}}


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def explainer(world: World) -> Explainer:
    return Explainer(world.database, world.clock, world.decider)


def test_a_plain_no_names_the_condition_that_said_it_and_the_value_it_saw(
    world: World, explainer: Explainer
) -> None:
    world.trigger("to-qa")
    world.intake.ingest(
        world.connection_id,
        world.page(world.assessed("feature/x", merges_cleanly=False, conflicts=("app.py",))),
    )
    story = explainer.trigger("to-qa")
    [decision] = story.events[0].decisions
    assert decision.outcome is DecisionOutcome.NOT_MATCHED
    assert decision.is_replayed
    assert "app.py" in decision.because
    assert decision.in_words().startswith("Trigger to-qa (version 1) did not fire: ")


def test_an_answer_stays_the_same_after_the_trigger_and_the_states_have_changed(
    world: World, explainer: Explainer
) -> None:
    trigger_id = world.trigger("both", match="all", conditions=[READY, PASSED])
    red = world.state("feature/x", checks={"unit": "failure"})
    report = world.intake.ingest(
        world.connection_id, world.page(world.assessed("feature/x"), snapshots=(red,))
    )
    before = explainer.event(report.events[0].id)
    assert before.events[0].decisions[0].outcome is DecisionOutcome.NOT_MATCHED

    green = world.state("feature/x", checks={"unit": "success"})
    world.intake.ingest(world.connection_id, world.page(world.created("other"), snapshots=(green,)))
    spec = {"name": "both", "items": ["sample"], "conditions": [READY], "actions": [NOTIFY]}
    world.change(trigger_id, TriggerSpec.model_validate(spec))
    assert explainer.event(report.events[0].id).events == before.events


def test_what_fired_is_told_with_its_execution_and_why_it_waits(world: World, explainer: Explainer) -> None:
    world.trigger("to-qa")
    world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x")))
    [decision] = explainer.item("sample").events[0].decisions
    assert decision.outcome is DecisionOutcome.FIRED
    assert decision.execution is not None
    assert "waits" in decision.in_words()


def test_without_any_event_it_says_that_nothing_was_read_yet(world: World, explainer: Explainer) -> None:
    world.trigger("to-qa")
    advice = " ".join(explainer.trigger("to-qa").advice)
    assert "was never read" in advice
    assert "no event" in advice


def test_without_any_event_it_says_that_the_connection_is_down(world: World, explainer: Explainer) -> None:
    world.trigger("to-qa")
    now = world.clock.now()
    with world.database.begin() as connection:
        sources.unhealthy(
            connection,
            world.connection_id,
            now,
            health="down",
            why="no route to host",
            not_before=now + timedelta(minutes=2),
        )
    assert "Connection here is down: no route to host, next try in 2 min." in (
        explainer.trigger("to-qa").advice
    )


def test_without_any_event_it_says_when_the_item_was_last_read(world: World, explainer: Explainer) -> None:
    world.trigger("to-qa")
    world.intake.ingest(world.connection_id, Page(item_id=world.item_id, token={}))
    world.clock.advance(seconds=7)
    assert "sample was read 7 s ago; no event of it was ever seen." in explainer.trigger("to-qa").advice


def test_a_name_that_does_not_exist_is_an_error_that_says_where_to_look(explainer: Explainer) -> None:
    with pytest.raises(NotFound, match="dct trigger list"):
        explainer.trigger("nope")


def test_a_trigger_that_watched_nothing_then_has_no_part_in_the_story(
    world: World, explainer: Explainer
) -> None:
    world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x")))
    world.trigger("later")
    assert explainer.item("sample").events[0].decisions == ()


def test_a_simulation_shows_what_would_have_fired_been_held_and_why_and_writes_nothing(world: World) -> None:
    for number in range(4):
        world.clock.advance(minutes=1)
        page = world.page(
            world.assessed(f"feature/{number}"), world.assessed("bugfix/x", "d" * 39 + str(number))
        )
        world.intake.ingest(world.connection_id, page)
    spec = TriggerSpec.model_validate(
        {
            "name": "not-saved",
            "items": ["sample"],
            "conditions": [READY],
            "actions": [NOTIFY],
            "limits": {"max_executions_per_hour": 2},
        }
    )
    found = Simulator(world.database, world.clock, world.decider.condition_types).simulate(spec, days=1)
    assert (found.events, found.not_matched) == (8, 4)
    assert found.count(DecisionOutcome.FIRED) == 2
    held = [one for one in found.decisions if one.ruling.outcome is DecisionOutcome.HELD]
    assert [one.hold_reason for one in held] == ["rate_limit", "rate_limit"]
    assert "bugfix/x" in found.nearest_misses[0].ruling.because


def test_a_simulation_shows_until_when_a_debounce_would_have_held(world: World) -> None:
    world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x")))
    limits = {"debounce_ms": 5000, "coalesce": "latest"}
    spec = TriggerSpec.model_validate(
        {"name": "new", "items": ["sample"], "conditions": [READY], "actions": [NOTIFY], "limits": limits}
    )
    found = Simulator(world.database, world.clock, world.decider.condition_types).simulate(spec, days=1)
    [held] = found.decisions
    assert (held.hold_reason, held.held_until) == ("debounce", world.clock.now() + timedelta(seconds=5))
    assert "only the newest is carried out" in found.notes[0]


@pytest.mark.parametrize(
    "as_saved",
    [
        {"conditions": [{"type": "branch_ready", "config": {"branch": "feature/*", "moon_phase": "full"}}]},
        {"conditions": [READY], "moon_phase": "full"},
    ],
)
def test_what_another_release_saved_otherwise_stops_no_other_trigger_and_no_explanation(
    world: World, explainer: Explainer, as_saved: dict[str, Any]
) -> None:
    broken = world.trigger("broken")
    world.trigger("works")
    versions = tables.trigger_versions
    with world.database.begin() as connection:
        spec = connection.scalar(select(versions.c.spec).where(versions.c.trigger_id == broken))
        assert spec is not None
        changed = update(versions).where(versions.c.trigger_id == broken).values(spec=spec | as_saved)
        connection.execute(changed)
    report = world.intake.ingest(world.connection_id, world.page(world.assessed("feature/x")))
    assert report.decided.fired == 1
    with world.database.connect() as connection:
        found = broken_triggers(connection, world.decider.condition_types)
    assert found.keys() == {"broken"}
    assert "moon_phase" in found["broken"]
    story = explainer.event(report.events[0].id).events[0]
    told = {decision.trigger: decision for decision in story.decisions}
    assert told["works"].outcome is DecisionOutcome.FIRED
    assert "moon_phase" in told["broken"].because


def source_of(world: World) -> SourceStory:
    with world.database.connect() as connection:
        [source] = source_stories(connection)
    return source


def test_events_of_an_item_are_counted_only_as_far_as_anybody_wants_to_know(world: World) -> None:
    page = [world.created(f"feature/{number}") for number in range(MANY_EVENTS + 10)]
    world.intake.ingest(world.connection_id, world.page(*page[:MANY_EVENTS]))
    source = source_of(world)
    assert f"; {MANY_EVENTS} events of it" in source.in_words(world.clock.now())
    world.intake.ingest(world.connection_id, world.page(*page))
    source = source_of(world)
    assert f"; more than {MANY_EVENTS} events of it" in source.in_words(world.clock.now())
