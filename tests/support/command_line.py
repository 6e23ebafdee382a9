"""Fixtures: `dct` in this process, in a project of its own on the test's database.

A test module takes them by name: `from tests.support.command_line import *  # noqa: F403`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import dct_pipelines
from dct_pipelines.cli.main import main
from dct_pipelines.settings import Settings

__all__ = ["Dct", "Said", "dct"]


@dataclass
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What `--json` printed. A command that failed, or printed more, is quoted."""
        try:
            return json.loads(self.out)
        except ValueError:
            told = f"exit code {self.code}, on stdout {self.out[:500]!r}, on stderr {self.err[:2000]!r}"
            raise AssertionError(told) from None


Dct = Callable[..., Said]


def loaded(*arguments: str) -> frozenset[str]:
    """Every module that a `dct` of its own has loaded by its end, here, with this environment."""
    program = (
        "import sys\n"
        "from dct_pipelines.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    print(*sys.modules)\n"
    )
    command = [sys.executable, "-c", program, *arguments]
    us = os.environ | {"PYTHONPATH": str(Path(dct_pipelines.__file__).parents[1])}
    said = subprocess.run(command, env=us, stdout=subprocess.PIPE, text=True, check=True).stdout
    *told, modules = said.splitlines()
    assert told, "it said nothing, so it did not do its work"
    return frozenset(modules.split())


@pytest.fixture
def dct(
    database_settings: Settings,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Dct:
    """Runs `dct` in this process, in a project of its own."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DCT_DATABASE_URL", database_url)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Said:
        code = 0
        try:
            main(list(arguments))
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        return Said(code, printed.out, printed.err)

    return run
