"""Plug-ins of installed packages: found by entry points, and left out by name when they are no good."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.load.benchsource import LISTENER
from dct_pipelines import registry

CONDITION = """
from dataclasses import replace
from dct_pipelines.conditions.status_change import CONDITION as known
CONDITION = replace(known, kind={kind!r})
"""


def ours() -> set[str]:
    return {*registry.conditions(), *registry.actions(), *registry.listeners()}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory in which packages can be laid as pip would."""
    ours()  # what a process remembers from its first use is not found while the packages are there
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("plugin_"):
            del sys.modules[name]


def lay(folder: Path, package: str, code: str, group: str = "dct_pipelines.conditions") -> None:
    module = f"plugin_{package.replace('-', '_')}"
    (folder / f"{module}.py").write_text(code)
    facts = folder / f"{module}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{group}]\nit = {module}\n")


def test_a_condition_of_an_installed_package_is_found_beside_ours(installed: Path):
    lay(installed, "moon", CONDITION.format(kind="full_moon"))
    found = registry.CONDITIONS.plugins()
    assert set(found) - {"full_moon"} == set(registry.conditions())
    assert found["full_moon"].kind == "full_moon"


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("raise RuntimeError('no moon')", "it cannot be loaded (RuntimeError('no moon'))"),
        ("import no_such_library", "it cannot be loaded (ModuleNotFoundError"),
        ("CONDITION = None", "it has no CONDITION = ConditionType(...)"),
        ("", "it has no CONDITION = ConditionType(...)"),
        (CONDITION.format(kind="status_change"), "the kind 'status_change' is there already"),
        (CONDITION.format(kind="a_first"), "the kind 'a_first' is there already"),
    ],
)
def test_one_that_is_no_good_is_named_and_takes_no_other_down(
    installed: Path, caplog: pytest.LogCaptureFixture, code: str, fault: str
):
    lay(installed, "a-good", CONDITION.format(kind="a_first"))
    lay(installed, "bad", code)
    lay(installed, "good", CONDITION.format(kind="last"))
    with caplog.at_level(logging.ERROR):
        found = registry.CONDITIONS.plugins()
    assert set(found) - set(registry.conditions()) == {"a_first", "last"}
    assert found["status_change"] is registry.condition("status_change")
    [said] = caplog.messages
    assert said.startswith("the plug-in plugin_bad of package bad is left out: ")
    assert fault in said
    assert said.endswith("correct or uninstall that package")


def test_each_room_has_entry_points_of_its_own(installed: Path):
    lay(installed, "moon", CONDITION.format(kind="full_moon"), group="dct_pipelines.actions")
    assert "full_moon" not in registry.CONDITIONS.plugins()


def test_a_folder_on_the_path_is_enough_for_a_plugin(monkeypatch: pytest.MonkeyPatch):
    assert LISTENER.kind not in ours()
    monkeypatch.syspath_prepend("benchmarks/load/plugins")
    assert registry.LISTENERS.plugins()[LISTENER.kind] is LISTENER
