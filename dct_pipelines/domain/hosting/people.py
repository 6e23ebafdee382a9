"""Who somebody is at each git host, and how a moment is written: the same for a read and a delivery."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dct_pipelines.domain.facts import Person

_GITLAB_BOT = re.compile(r"(?:project|group)_\d+_bot.*|.+-bot", re.IGNORECASE)
_GITEA_BOTS = ("[bot]", "-bot", "_bot")


def github_person(user_id: int, login: str, kind: str) -> Person:
    """By the number, which stays when the login changes. `kind` is GitHub's `type` of the account."""
    return Person(id=str(user_id), name=login, is_bot=kind == "Bot")


def gitlab_person(username: str, name: str, is_bot: bool | None = None) -> Person:
    """By the user name, which is nobody else's. Where GitLab does not tell bots, their names do.

    Source: https://docs.gitlab.com/user/project/settings/project_access_tokens/#bot-users-for-projects
    """
    if is_bot is None:
        is_bot = _GITLAB_BOT.fullmatch(username) is not None
    return Person(id=username, name=name or None, is_bot=is_bot)


def gitea_person(user_id: int, login: str, full_name: str) -> Person:
    """The server's own users (actions, deleted accounts) have negative ids; other bots only names."""
    is_bot = user_id < 0 or login.casefold().endswith(_GITEA_BOTS)
    return Person(id=login, name=full_name or None, is_bot=is_bot)


def stamp(moment: datetime) -> str:
    """A provider's moment as a text, the same whatever zone it was written in."""
    return moment.astimezone(UTC).isoformat()
