"""The servers of others, for histories that are played on a real one."""

from __future__ import annotations

from tests.support.servers import *  # noqa: F403
