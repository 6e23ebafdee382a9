"""The embedded PostgreSQL of the session, for every test here."""

from __future__ import annotations

from tests.support.postgres import *  # noqa: F403
