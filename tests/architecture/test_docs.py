"""The reference is complete: whatever can be set, written or met is described."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.manifest import MODELS
from dct_pipelines.domain.words import Kind
from dct_pipelines.settings import Settings, variable_names
from tests.architecture.tree import ROOT, reference_page, sections

SETTING = re.compile(r"^\| `([A-Z_]+)` \| (.*?) \|", re.MULTILINE)
EXIT_CODE = re.compile(r"^\| `?(\d+)`? \|", re.MULTILINE)


def described() -> dict[str, str]:
    """Every variable of the page of settings and what its row calls the default."""
    return dict(SETTING.findall(reference_page("settings")))


def errors(root: type[DctError] = DctError) -> Iterator[type[DctError]]:
    """The root and every error below it."""
    yield root
    for below in root.__subclasses__():
        yield from errors(below)


def keys(schema: Any) -> Iterator[str]:
    """Every key that a JSON schema knows, at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for below in schema.values():
            yield from keys(below)
    elif isinstance(schema, list):
        for below in schema:
            yield from keys(below)


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


@pytest.mark.parametrize("kind", Kind)
def test_the_page_of_manifests_names_every_key_of_a_kind(kind: Kind):
    section = sections(reference_page("manifests")).get(kind.value, "")
    missing = sorted({key for key in keys(MODELS[kind].json_schema()) if f"`{key}`" not in section})
    assert not missing, f"docs/reference/manifests.md, ## `{kind}`: {', '.join(missing)}"


def test_the_page_of_the_command_line_lists_every_exit_code_of_an_error():
    listed = {int(code) for code in EXIT_CODE.findall(reference_page("cli"))}
    missing = {error.__name__: error.exit_code for error in errors() if error.exit_code not in listed}
    assert not missing, f"docs/reference/cli.md has no row for {missing}"


def test_every_error_tells_its_reader_something():
    assert [error.__name__ for error in errors() if not (error.__doc__ or "").strip()] == []


def test_the_readme_shows_the_commands_that_the_makefile_has():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))
    assert set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets
