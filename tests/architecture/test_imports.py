"""Importing is free of consequences: tools, editors and Dagster import modules whenever they like."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.architecture.tree import ROOT


def imported_with(home: Path, python_path: Path = ROOT) -> dict[str, list[str]]:
    """What the probe of the tree at `python_path` reports, in a process of its own."""
    answer = subprocess.run(
        [sys.executable, str(python_path / "tests/architecture/import_probe.py"), str(home)],
        cwd=home,
        env=os.environ | {"PYTHONPATH": str(python_path), "DAGSTER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    report: dict[str, list[str]] = json.loads(answer.stdout.splitlines()[-1])
    return report


def test_importing_any_module_does_nothing_else(tmp_path: Path):
    report = imported_with(tmp_path)
    assert "dct_pipelines.domain.errors" in report["imported"]
    assert not report["faults"], "\n".join(report["faults"])
    assert list(tmp_path.iterdir()) == []


def test_a_module_that_does_something_would_be_found(tmp_path: Path):
    tree = tmp_path / "tree"
    probe = tree / "tests/architecture/import_probe.py"
    probe.parent.mkdir(parents=True)
    probe.write_bytes((ROOT / "tests/architecture/import_probe.py").read_bytes())
    package = tree / "dct_pipelines"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "busy.py").write_text(
        "import os, socket, subprocess, sys\n"
        "os.environ.get('PATH')\n"
        "open('written', 'w').close()\n"
        "open('/etc/hostname').close()\n"
        "socket.socket().bind(('127.0.0.1', 0))\n"
        "subprocess.run([sys.executable, '-c', ''])\n"
    )
    faults = "\n".join(imported_with(tmp_path, tree)["faults"])
    for found in (
        "read the variable PATH",
        "opened written",
        "opened /etc/hostname",
        "socket.bind",
        "subprocess",
    ):
        assert found in faults
