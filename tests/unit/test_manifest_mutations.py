"""Whatever is written wherever: a set is accepted or refused with faults, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.engine.manifests import Document, InvalidManifests, World, check
from dct_pipelines.engine.manifests.source import parse_text
from tests.support.manifests import BASE, NOTIFY, TRIGGER

DEFINITIONS = """---
kind: environment
name: qa
repository: app
branch: qa
deployer: {type: local, command: [./deploy], secrets: {TOKEN: "env:TOKEN"}}
health_check: {url: "http://127.0.0.1/health"}
limits: {timeout_seconds: 10}
---
kind: suite
name: unit
command: [make, test]
---
kind: channel
name: testers
type: smtp
host: mail.example.org
sender: dct@example.org
receivers: ["@example.org"]
---
kind: draft
name: review
title: "{{ event.branch }}"
repository: app
context: [app]
suites: [unit]
"""
WHOLE = BASE + TRIGGER + NOTIFY % "{{ steps.merge_branches.commit | short }}" + DEFINITIONS
DOCUMENTS, _ = parse_text(WHOLE, "team.yaml", Path("/srv"))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a nested value."""
    yield path
    if isinstance(value, dict):
        for key, below in value.items():
            yield from places(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from places(below, (*path, index))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with `new` at that place."""
    if not path:
        return new
    changed = copy.deepcopy(value)
    here = changed
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = new
    return changed


EVERYWHERE = [(number, path) for number, one in enumerate(DOCUMENTS) for path in places(one.data)]
WORDS = st.sampled_from(
    [
        "",
        "app",
        "qa",
        "{{",
        "{{ x }}",
        "..",
        "-x",
        "*",
        "(",
        "env:X",
        "https://a:b@c/d",
        "type",
        "local",
        "🦊",
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=20),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), below, max_size=3)
    ),
    max_leaves=5,
)


def judged(place: tuple[int, tuple[Any, ...]], new: Any) -> bool:
    """Whether the set with `new` at that place is good; if not, each fault must say something."""
    number, path = place
    documents = list(DOCUMENTS)
    documents[number] = Document("team.yaml", replaced(DOCUMENTS[number].data, path, new), Path("/srv"))
    try:
        check(documents, World({}))
    except InvalidManifests as refused:
        return not all(fault.message for fault in refused.faults)
    return True


def test_the_set_that_is_changed_below_is_good():
    assert len(check(DOCUMENTS, World({})).manifests) == len(DOCUMENTS)


@given(st.sampled_from(EVERYWHERE), ANYTHING)
def test_anything_in_any_place_is_judged(place: tuple[int, tuple[Any, ...]], new: Any):
    assert judged(place, new) in (True, False)


@pytest.mark.parametrize("key", ["kind", "name"])
def test_a_document_without_its_kind_or_name_is_refused(key: str):
    for number in range(len(DOCUMENTS)):
        assert not judged((number, (key,)), None)
