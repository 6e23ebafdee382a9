"""Repositories by the system's git: a child process with an argument list, never a shell, never a guess.

Belongs here: calls of git, what their output and errors mean, the cache of repositories.
Does not belong here: what a branch means to a trigger (listeners, conditions), or when to merge (actions).

**The cache.** Of each repository one bare copy lies below the cache directory, under a name made from its
address. Nothing of the repository's own configuration, hooks or reference names ever enters it: fetched
heads are kept as `refs/dct/seen/<hash of the name>`, so hostile names and `a` against `a/b` cannot hurt.
Objects are never pruned: an event of last month can still be explained after a force push. A copy that is
damaged is thrown away and fetched again.

**Working directories** are repositories of their own (a copy of the objects, their own `.git`), not linked
work trees of the cache. What runs in them is not ours: it could rewrite the configuration and hooks of a
repository that it shares with us, and a rebuilt cache would pull the ground from under it.
"""

from __future__ import annotations

from dct_pipelines.clients.git.calls import GitLimits
from dct_pipelines.clients.git.client import GitClient
from dct_pipelines.clients.git.environment import PASSED_ON

__all__ = ["GitClient", "GitLimits", "PASSED_ON"]
