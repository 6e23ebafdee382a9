"""GitHub, on github.com and on a server of one's own: GraphQL for what is read in bulk, REST for the rest.

Belongs here: calls, and the translation of GitHub's answers and refusals into our words.
Does not belong here: what becomes an event (domain/hosting), and when something is read (engine).
Sources: https://docs.github.com/en/graphql and https://docs.github.com/en/rest
"""

from __future__ import annotations

from dct_pipelines.clients.github.client import GitHubClient

__all__ = ["GitHubClient"]
