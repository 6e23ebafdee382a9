"""What code prints belongs to the step that printed it, however it prints, and what is logged does not.

Each test is a process of its own, because the descriptors of a process are captured once and for all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dct_pipelines.clients import printed
from dct_pipelines.clients.printed import LONGEST_BYTES

pytestmark = pytest.mark.integration

BEGIN = """
import faulthandler, json, logging, os, subprocess, sys, threading
from pathlib import Path
from dct_pipelines.clients import printed
logging.basicConfig(level=logging.INFO, format="%(message)s")
taken = []
take = lambda: taken.append(printed.take())
"""
END = """
Path(sys.argv[1]).write_text(json.dumps(taken))
"""


def run(tmp_path: Path, code: str) -> tuple[list[str], str]:
    """What was taken each time, and what the process wrote to its own error output."""
    told = tmp_path / "taken.json"
    program = [sys.executable, "-c", BEGIN + code + END, str(told)]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    return json.loads(told.read_text()) if told.exists() else [], ended.stderr


def test_what_python_its_extensions_and_its_children_print_is_taken_in_order(tmp_path: Path):
    taken, _ = run(
        tmp_path,
        "printed.capture()\n"
        "print('by python', flush=True)\n"
        "os.write(1, b'by an extension\\n')\n"
        "os.write(2, b'as an error\\n')\n"
        "subprocess.run(['echo', 'by a child'])\n"
        "print('not flushed')\n"
        "print('nor this', file=sys.stderr)\n"
        "take()\n",
    )
    assert taken == ["by python\nby an extension\nas an error\nby a child\nnot flushed\nnor this\n"]


def test_each_step_gets_what_is_new(tmp_path: Path):
    code = "printed.capture()\nprint('one')\ntake()\ntake()\nprint('two')\ntake()\n"
    taken, _ = run(tmp_path, code)
    assert taken == ["one\n", "", "two\n"]


def test_of_much_the_end_is_kept_and_it_is_said_how_much_is_not(tmp_path: Path):
    taken, _ = run(tmp_path, "printed.capture()\nprint('x' * 100_000)\nprint('end')\ntake()\n")
    left_out = 100_005 - LONGEST_BYTES
    assert taken[0].startswith(f"({left_out} bytes before this are left out)\nxxx")
    assert taken[0].endswith("x\nend\n")


def test_what_is_no_text_does_no_harm(tmp_path: Path):
    taken, _ = run(tmp_path, "printed.capture()\nos.write(1, b'\\xff\\xfe ok')\ntake()\n")
    assert taken == ["\ufffd\ufffd ok"]


def test_what_is_logged_goes_where_it_went_before(tmp_path: Path):
    taken, errors = run(
        tmp_path,
        "logging.getLogger().addHandler(logging.FileHandler('" + str(tmp_path / "own.log") + "'))\n"
        "printed.capture()\nlogging.info('about us')\nprint('about a run')\ntake()\n",
    )
    assert taken == ["about a run\n"]
    assert errors == "about us\n"
    assert (tmp_path / "own.log").read_text() == "about us\n"


def test_the_last_words_of_a_process_that_crashes_are_in_its_log(tmp_path: Path):
    taken, errors = run(
        tmp_path,
        "faulthandler.enable()\nprinted.capture()\nimport ctypes\nctypes.string_at(0)\n",
    )
    assert taken == []
    assert "Segmentation fault" in errors


def test_threads_that_print_while_it_is_taken_lose_nothing_of_their_next_lines(tmp_path: Path):
    taken, _ = run(
        tmp_path,
        "printed.capture()\n"
        "thread = threading.Thread(target=lambda: [os.write(1, b'line\\n') for _ in range(100)])\n"
        "thread.start()\n"
        "thread.join()\n"
        "take()\n",
    )
    assert taken == ["line\n" * 100]


def test_where_nothing_is_captured_nothing_is_taken(capfd: pytest.CaptureFixture[str]):
    os.write(1, b"to whoever reads\n")
    assert printed.take() == ""
    assert capfd.readouterr().out == "to whoever reads\n"
