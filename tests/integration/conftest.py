"""The embedded PostgreSQL of the session, for every test here."""

from __future__ import annotations

import os

from tests.support.postgres import *  # noqa: F403

collect_ignore = [] if os.geteuid() == 0 else ["test_embedded_postgres_as_root.py"]
