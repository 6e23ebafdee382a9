"""The reference is complete: whatever can be set is described, with its default."""

from __future__ import annotations

import re

from dct_pipelines.settings import Settings, variable_names
from tests.architecture.tree import ROOT

PAGE = ROOT / "docs/reference/settings.md"
ROW = re.compile(r"^\| `([A-Z_]+)` \| (.*?) \|", re.MULTILINE)


def described() -> dict[str, str]:
    """Every variable of the page and what its row calls the default."""
    return dict(ROW.findall(PAGE.read_text(encoding="utf-8")))


def test_the_page_of_settings_describes_every_variable_and_no_other():
    assert sorted(described()) == sorted(variable_names())


def test_the_page_of_settings_shows_the_true_defaults():
    rows = described()
    plain = {
        field.alias: str(field.default).lower()
        for field in Settings.model_fields.values()
        if field.alias and isinstance(field.default, str | int)
    }
    assert {name: rows[name] for name in plain} == plain
