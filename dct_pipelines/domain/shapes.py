"""Shapes: the ordered action types of a trigger, and the Dagster job that each of them is.

Two triggers of one shape share a job, so its steps carry the types' names, not the triggers' own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

Shape = tuple[str, ...]

MAX_JOB_NAME = 100
DIGEST_DIGITS = 8
SEPARATOR = "__"
CLAIM = "claim"
"""The first step of every job: takes the execution."""
CLOSE = "close"
"""The last step of every job: checks the deliverables and ends the execution."""

EXAMPLE_SHAPES: tuple[Shape, ...] = (
    ("merge_branches", "deploy_environment"),
    ("merge_branches", "deploy_environment", "notify_users"),
    ("merge_branches", "deploy_environment", "create_workspace", "notify_users"),
    ("merge_branches", "deploy_environment", "run_tests", "create_workspace", "notify_users"),
    (
        "merge_branches",
        "deploy_environment",
        "create_workspace",
        "notify_users",
        "update_ticket",
    ),
    ("create_workspace", "notify_users"),
    ("deploy_environment", "notify_users"),
    ("run_tests", "notify_users"),
)
"""Shapes of the triggers in `examples/`: there from the start, so that a first trigger waits for nothing."""


def step_names(shape: Shape) -> tuple[str, ...]:
    """The name of each step of the shape's job: the action's type, numbered from its second time on."""
    return tuple(
        kind if (nth := shape[: index + 1].count(kind)) == 1 else f"{kind}_{nth}"
        for index, kind in enumerate(shape)
    )


def job_name(shape: Shape) -> str:
    """The shape's job: its steps in words, joined by `__`; a long name is cut and ends with a digest."""
    name = SEPARATOR.join(step_names(shape))
    if len(name) <= MAX_JOB_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST_DIGITS]
    return f"{name[: MAX_JOB_NAME - DIGEST_DIGITS - 1].rstrip('_')}_{digest}"


def built_in(kinds: Iterable[str]) -> tuple[Shape, ...]:
    """Every single action of `kinds`, and those example shapes that need no other."""
    known = sorted(kinds)
    examples = (shape for shape in EXAMPLE_SHAPES if set(shape) <= set(known))
    return (*((kind,) for kind in known), *examples)
