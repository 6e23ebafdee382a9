"""The reference is complete: what can be set, typed or met is described."""

from __future__ import annotations

import re
from pathlib import Path

from dct_pipelines.settings import variable_names
from tests.architecture.tree import ROOT

REFERENCE = ROOT / "docs/reference"


def page(path: Path) -> str:
    """The page's text; empty when it is not written yet."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_every_setting_is_described():
    text = page(REFERENCE / "settings.md")
    missing = [name for name in variable_names() if f"`{name}`" not in text]
    assert not missing, f"docs/reference/settings.md: {', '.join(missing)}"


def test_no_setting_is_described_that_does_not_exist():
    described = set(re.findall(r"`(DCT_[A-Z_]+)`", page(REFERENCE / "settings.md")))
    assert described <= set(variable_names())
