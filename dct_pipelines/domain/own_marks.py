"""Trailers of commits that we make, and the mark that they stand for.

The id of a commit that a git host makes for us is only known afterwards, when a listener may have seen it
already. So the trailers are announced as a mark before, and the commit's id takes the mark's place after: who
copies them once they can be read does not pass for us.
"""

from __future__ import annotations

import re
from uuid import UUID

_EXECUTION = "Dct-Execution"
_STEP = "Dct-Step"
_LINES = re.compile(rf"^{_EXECUTION}: ([0-9a-f-]{{36}})\n{_STEP}: (\S{{1,100}})[ \t]*$", re.MULTILINE)


def trailers_of(execution_id: UUID, step: str) -> dict[str, str]:
    """What the commits of one step of an execution end with."""
    return {_EXECUTION: str(execution_id), _STEP: step}


def mark_of(execution_id: UUID, step: str) -> str:
    """The external id of a commit with these trailers, as long as its own id is not known."""
    return f"step:{execution_id}:{step}"


def marks_in(message: str) -> tuple[str, ...]:
    """The mark at the end of a commit's message, where our trailers stand, if there is one."""
    return tuple(f"step:{execution_id}:{step}" for execution_id, step in _LINES.findall(message)[-1:])
