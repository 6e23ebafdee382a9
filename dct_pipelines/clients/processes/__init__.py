"""Child processes: the only package that starts any.

Belongs here: starting, watching, bounding and certainly ending a command, and keeping it apart from us.
Does not belong here: what a command means (git, deployers and suites build their own argument lists).
"""

from __future__ import annotations

from dct_pipelines.clients.processes.runner import Processes

__all__ = ["Processes"]
