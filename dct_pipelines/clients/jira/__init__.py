"""Jira, Cloud (REST v3) and Data Center (REST v2), over the guarded HTTP client.

What Jira answers is handed on raw to be understood in `domain.tracking`; here is what requests look like and
how few of them are needed. Not here: what a change means.
"""

from dct_pipelines.clients.jira.client import CenterJira, CloudJira, jira_client

__all__ = ["CenterJira", "CloudJira", "jira_client"]
