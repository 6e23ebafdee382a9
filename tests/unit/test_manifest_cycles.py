"""Triggers that fire each other by what they write are found, whatever the way round."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.manifests import LIBRARY, checked, faults, only_fault

CIRCLE = """
kind: trigger
name: {name}
items: [app]
on_own_writes: {own}
conditions: [{{type: branch_ready, config: {{branch: {watches}}}}}]
actions: [{{type: merge_branches, config: {{repository: app, source: main, target: {moves}}}}}]
---
"""


def circle(*triggers: tuple[str, str, str, str]) -> str:
    parts = (CIRCLE.format(name=n, own=own, watches=w, moves=m) for n, own, w, m in triggers)
    return LIBRARY + "---" + "".join(parts)


def test_triggers_that_fire_each_other_by_what_they_write_are_a_cycle():
    found = faults(circle(("a", "true", "qa", "staging"), ("b", "true", "staging", "qa")))
    assert [fault.path for fault in found] == [("on_own_writes",), ("on_own_writes",)]
    assert "a → b → a" in found[0].message


def test_a_trigger_that_fires_itself_by_what_it_writes_is_a_cycle():
    assert "a → a" in only_fault(circle(("a", "true", "'*'", "qa")))


def test_a_chain_of_triggers_that_ends_is_not_a_cycle():
    assert checked(circle(("a", "true", "qa", "staging"), ("b", "true", "staging", "production"))).manifests


def test_triggers_that_ignore_our_own_writes_cannot_be_a_cycle():
    assert checked(circle(("a", "false", "qa", "staging"), ("b", "true", "staging", "qa"))).manifests


@settings(max_examples=20)
@given(st.permutations(range(5)))
def test_a_ring_of_any_order_is_found_and_every_proper_part_of_it_is_not(order: list[int]):
    ring = [(f"t{i}", "true", f"b{i}", f"b{(i + 1) % 5}") for i in order]
    assert len(faults(circle(*ring))) == 5
    assert checked(circle(*ring[:-1])).manifests
