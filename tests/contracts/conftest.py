"""The embedded PostgreSQL of the session and the servers of others, for the real sides of contracts."""

from __future__ import annotations

from tests.support.postgres import *  # noqa: F403
from tests.support.servers import *  # noqa: F403
