"""The embedded PostgreSQL: any process finds it or starts it; nobody has to install a database.

Belongs here: where its binaries, data and socket lie, which system user runs it, and starting and stopping it
so that no kill at any moment leaves it unusable. Does not belong here: engines, pools, schemas, other
servers.

Two locks carry the safety. `start.lock` lets one starter work at a time. `life.lock` is inherited by the
server and all its children, so whoever can take it knows that no old server lives, without guessing from a
process id that may have been given to somebody else. Both need a local file system.
"""

from dct_pipelines.store.embedded.probe import ServerState
from dct_pipelines.store.embedded.server import EmbeddedPostgres, ServerStatus

__all__ = ["EmbeddedPostgres", "ServerState", "ServerStatus"]
