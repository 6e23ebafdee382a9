"""The embedded PostgreSQL of the session, for the contracts whose real side is the database."""

from __future__ import annotations

from tests.support.postgres import *  # noqa: F403
