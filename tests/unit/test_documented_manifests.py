"""What the documents tell people to write is valid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dct_pipelines import registry
from dct_pipelines.domain.manifest import MODELS
from dct_pipelines.domain.words import Kind

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def documented() -> Iterator[Any]:
    """Every manifest of the README and the pages, and of the examples, named by its place."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    blocks = [(page, block) for page in pages for block in BLOCK.findall(page.read_text(encoding="utf-8"))]
    blocks += [
        (path, path.read_text(encoding="utf-8")) for path in sorted((ROOT / "examples").rglob("*.yaml"))
    ]
    for path, block in blocks:
        for number, document in enumerate(yaml.safe_load_all(block)):
            if isinstance(document, dict) and "kind" in document:
                name = f"{path.relative_to(ROOT)}-{number}-{document['kind']}-{document.get('name')}"
                yield pytest.param(document, id=name)


def test_the_pages_hold_a_manifest_of_every_kind():
    assert {case.values[0]["kind"] for case in documented()} == set(Kind)


@pytest.mark.parametrize("manifest", list(documented()))
def test_a_documented_manifest_is_valid(manifest: dict[str, Any]):
    body = {key: value for key, value in manifest.items() if key != "kind"}
    MODELS[Kind(manifest["kind"])].validate_python(body)
    for condition in body.get("conditions", ()):
        registry.condition(condition["type"]).config.model_validate(condition.get("config", {}))
    for action in body.get("actions", ()):
        registry.action(action["type"]).config.model_validate(action.get("config", {}))
