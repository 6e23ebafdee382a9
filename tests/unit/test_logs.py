"""Logs as JSON: one object a line, with the ids of what is at work, and without secrets."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any
from uuid import UUID

import pytest

from dct_pipelines.clients.logs import JsonFormatter, say_as_json
from dct_pipelines.domain.at_work import AtWork, working_on

EXECUTION = UUID(int=4)


def line(message: str, *args: object, **extra: Any) -> dict[str, Any]:
    """What becomes of one call of a logger."""
    record = logging.getLogger("dct_pipelines.engine.reconcile").makeRecord(
        "dct_pipelines.engine.reconcile", logging.WARNING, "x.py", 3, message, args, None, extra=extra or None
    )
    text = JsonFormatter().format(record)
    assert "\n" not in text
    told: dict[str, Any] = json.loads(text)
    return told


def test_a_line_says_when_how_bad_who_and_what():
    told = line("%d runs are lost", 2)
    assert told["time"].endswith("Z")
    assert (told["level"], told["logger"]) == ("warning", "dct_pipelines.engine.reconcile")
    assert told["message"] == "2 runs are lost"
    assert set(told) == {"time", "level", "logger", "message", "process"}


def test_inside_an_action_it_names_the_execution():
    with working_on(AtWork(EXECUTION, attempt=2, trigger="to-qa", action="merge", index=0)):
        told = line("it is slow")
    assert (told["execution"], told["attempt"]) == (str(EXECUTION), 2)
    assert (told["trigger"], told["action"]) == ("to-qa", "merge")
    assert "execution" not in line("outside")


def test_a_traceback_is_part_of_its_line():
    try:
        raise ValueError("of a kind\nwith two lines")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "it broke", (), sys.exc_info())
    told = json.loads(JsonFormatter().format(record))
    assert "ValueError: of a kind" in told["exception"]


@pytest.mark.parametrize("secret", ["password=hunter2hunter2", "Bearer abcdefghijklmnop1234"])
def test_what_looks_like_a_secret_is_taken_out(secret: str):
    told = line(f"the answer held {secret}", answer=secret)
    assert secret.rpartition("=")[2].rpartition(" ")[2] not in json.dumps(told)


def test_a_message_that_does_not_fit_its_arguments_is_shown_all_the_same():
    assert "%d runs" in line("%d runs", "two")["message"]


def test_what_a_command_says_is_a_line_too_percent_signs_and_all():
    told = json.loads(say_as_json('ready: 100 % of "it"', "dct_pipelines.up"))
    assert (told["message"], told["logger"]) == ('ready: 100 % of "it"', "dct_pipelines.up")
