"""Logs as JSON, one object a line, for all processes of a deployment; without it they write text as ever.

`{"time", "level", "logger", "message", "process"}`, and inside of an execution `execution`, `attempt`,
`trigger`, `action`; `exception` where there is one. What looks like a secret is taken out of messages and
tracebacks.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from dct_pipelines.domain.at_work import at_work
from dct_pipelines.domain.sanitize import without_secrets

LONGEST_TEXT = 20_000
OURS = "dct_pipelines"
_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "dagster_meta", "taskName"}


class JsonFormatter(logging.Formatter):
    """Makes the line of a record. What was given as `extra` is under its own names, as text."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the record holds."""
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _clean(_message_of(record)),
            "process": record.process,
        }
        line |= dict(_work())
        more = (pair for pair in vars(record).items() if pair[0] not in _KNOWN and pair[0] not in line)
        line |= {name: _clean(str(value)) for name, value in list(more)}
        if record.exc_info:
            line["exception"] = _clean(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def install(as_json: bool) -> None:
    """Have this process log as JSON, if it is to; text is what it does anyway.

    Repeatable: a library that has set up loggers of its own since the last time is taken over, too.
    """
    if not as_json:
        return
    formatter, root = JsonFormatter(), logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler(sys.stderr))
    if not logging.getLogger(OURS).level:
        logging.getLogger(OURS).setLevel(logging.INFO)
    for handler in _handlers():
        handler.setFormatter(formatter)


def _handlers() -> Iterator[logging.Handler]:
    known = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
    for logger in known:
        if isinstance(logger, logging.Logger):
            yield from (one for one in logger.handlers if isinstance(one, logging.StreamHandler))


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return f"{record.msg} {record.args}"


def _work() -> Iterator[tuple[str, Any]]:
    work = at_work()
    if work is None:
        return
    yield "execution", str(work.execution_id)
    for name, value in (("attempt", work.attempt), ("trigger", work.trigger), ("action", work.action)):
        if value is not None:
            yield name, value


def _clean(text: str) -> str:
    return without_secrets(text[:LONGEST_TEXT])


def say_as_json(message: str, logger: str = OURS) -> str:
    """The line of something that a command says by itself."""
    return JsonFormatter().format(logging.LogRecord(logger, logging.INFO, "", 0, message, (), None))
