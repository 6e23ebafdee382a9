"""The embedded PostgreSQL of the session and the servers of others, for every test here."""

from __future__ import annotations

import os

from tests.support.disks import may_mount
from tests.support.postgres import *  # noqa: F403
from tests.support.servers import *  # noqa: F403

collect_ignore = [] if os.geteuid() == 0 else ["test_embedded_postgres_as_root.py"]
collect_ignore += [] if may_mount() else ["test_faults_disk.py", "test_faults_database_disk.py"]
