"""Slack: its Web API for the listener and the checks, messages for `notify_users`, and Socket Mode.

Belongs here: calls, their errors, and what is special about posting. Does not belong here: what messages mean
(domain.chat).
"""

from dct_pipelines.clients.slack.client import SlackClient

__all__ = ["SlackClient"]
