"""The frame that a newcomer's first command stands on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.tree import ROOT, imports, name_of, python_files

PIN = re.compile(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.+!]*)")


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEVELOPMENT = [text for extra in PROJECT["optional-dependencies"].values() for text in extra]


def foreign(*folders: str) -> dict[frozenset[str], str]:
    """Distributions that share each package that the folders import, with one place where that happens."""
    ours = {"dct_pipelines", "tests", "benchmarks", *sys.stdlib_module_names}
    owners = packages_distributions()
    return {
        frozenset(map(canonicalize_name, owners.get(top, [top]))): f"{name_of(path)}:{line}"
        for path in python_files(*folders)
        for line, name in imports(path)
        if (top := name.partition(".")[0]) not in ours
    }


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    matches = [PIN.fullmatch(line) for line in lines if not line.startswith("#")]
    assert all(matches), "constraints.txt holds names and exact versions only"
    return {canonicalize_name(match[1]): match[2] for match in matches if match}


def test_every_dependency_is_pinned_to_one_version_of_its_range():
    wanted = [Requirement(text) for text in PROJECT["dependencies"] + DEVELOPMENT]
    pinned = pins()
    faults = [
        str(requirement)
        for requirement in wanted
        if pinned.get(canonicalize_name(requirement.name), "") not in requirement.specifier
    ]
    assert not faults, "run `make constraints`: " + ", ".join(faults)


def test_what_is_imported_is_declared_not_borrowed_from_another_dependency():
    library = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    tools = library | {canonicalize_name(Requirement(text).name) for text in DEVELOPMENT}
    undeclared = [
        f"{place} imports {' or '.join(sorted(owners))}"
        for declared, folders in ((library, ["dct_pipelines"]), (tools, ["tests", "benchmarks"]))
        for owners, place in foreign(*folders).items()
        if not owners & declared
    ]
    assert not undeclared, "\n".join(undeclared)


def test_a_missing_python_is_explained():
    answer = subprocess.run(
        [str(ROOT / "scripts/find-python.sh")],
        env=os.environ | {"PYTHON": "no-such-python"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "no-such-python" in answer.stderr
    assert "Python 3.11 or newer" in answer.stderr


def test_scripts_can_be_executed():
    scripts = [*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci/run"]
    assert [path.name for path in scripts if not os.access(path, os.X_OK)] == []


def test_make_help_lists_the_targets_that_the_documents_name():
    listed = subprocess.run(
        ["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True
    ).stdout
    for target in ("demo", "up", "test", "check", "crash-test", "bench", "clean"):
        assert f"make {target} " in listed
