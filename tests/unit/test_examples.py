"""Each folder of `examples/` is a whole set: it can be applied as it is, and its triggers wait for no job."""

from __future__ import annotations

from pathlib import Path

import pytest

from dct_pipelines import registry
from dct_pipelines.domain.shapes import built_in
from dct_pipelines.domain.trigger import TriggerSpec
from dct_pipelines.engine.manifests import World, check
from dct_pipelines.engine.manifests.source import parse_text

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOLDERS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "run_configs")
TOGETHER = {"mail": ["git"]}
"""What an example says that it is to be applied with."""


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_example_can_be_applied_as_a_whole(folder: str):
    documents = []
    folders = [folder, *TOGETHER.get(folder, [])]
    for path in sorted(path for one in folders for path in (EXAMPLES / one).glob("*.yaml")):
        found, faults = parse_text(path.read_text(encoding="utf-8"), path.name, path.parent)
        assert faults == []
        documents += found
    checked = check(documents, World({}))
    shapes = [one.spec.shape for one in checked.manifests if isinstance(one.spec, TriggerSpec)]
    assert shapes
    assert set(shapes) <= set(built_in(registry.actions()))


def test_every_kind_of_connection_has_an_example():
    assert set(registry.listeners()) <= set(FOLDERS)
