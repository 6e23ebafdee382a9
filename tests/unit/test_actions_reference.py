"""Examples in the reference and beside the code are ones that could be saved."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from dct_pipelines import registry
from dct_pipelines.domain.scope import known_names
from dct_pipelines.domain.template import check_config

PAGE = Path(__file__).parents[2] / "docs/reference/actions.md"
STEPS = {kind: action.outputs for kind, action in registry.actions().items()}
NAMES = known_names(STEPS, ["branch_assessed"])


def documented() -> list[dict[str, Any]]:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [entry for block in blocks for entry in YAML(typ="safe").load(block)]


def test_every_action_has_an_example_in_the_reference():
    assert [entry["type"] for entry in documented()] == [
        "merge_branches",
        "create_pull_request",
        "deploy_environment",
        "create_workspace",
        "update_workspace",
        "run_tests",
        "archive_workspace",
        "notify_users",
        "update_ticket",
    ]


@pytest.mark.parametrize("entry", documented(), ids=lambda entry: str(entry["type"]))
def test_an_example_of_the_reference_could_be_saved(entry):
    registry.action(entry["type"]).config.model_validate(entry["config"])
    assert check_config(entry["config"], NAMES) == ()


@pytest.mark.parametrize("action", registry.actions().values(), ids=lambda action: str(action.kind))
def test_an_example_beside_the_code_uses_names_that_exist(action):
    assert check_config(dict(action.example), NAMES) == ()
