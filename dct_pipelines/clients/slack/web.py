"""Slack's Web API: a 200 may be a refusal, and the limits are by method, workspace and app.

Sources: https://docs.slack.dev/apis/web-api , https://docs.slack.dev/apis/web-api/rate-limits
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from dct_pipelines.clients.api import ApiAnswer, ApiClient, ApiRefusal, ApiRules
from dct_pipelines.clients.api_signs import retry_at
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.errors import ConnectionDown, CredentialRefused, DctError, Throttled
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.ports import Clock

TIER_2, TIER_3 = 20, 50
"""Calls a minute. Channels share them: the limits are per method, not per channel."""
LIMITS = {
    "conversations.list": TIER_2,
    "users.list": TIER_2,
    "apps.connections.open": TIER_2,
    **dict.fromkeys(
        ("conversations.history", "conversations.replies", "conversations.info", "conversations.open"), TIER_3
    ),
    **dict.fromkeys(("users.lookupByEmail", "chat.update"), TIER_3),
}
REFUSED = frozenset(
    "account_inactive invalid_auth missing_scope not_allowed_token_type not_authed org_login_required "
    "team_access_not_granted token_expired token_revoked two_factor_setup_required".split()
)
PASSING = frozenset(
    "fatal_error internal_error request_timeout service_unavailable team_added_to_org".split()
)
UNTOLD_PAUSE = timedelta(seconds=30)


class MissingScope(CredentialRefused):
    """The token lacks a scope; add it to the app, install the app again, and run `dct connection check`."""


class SlackRefusal(Exception):
    """Slack's own word for what it did not do; clients make an error of the domain of it."""

    def __init__(self, error: str, method: str) -> None:
        super().__init__(f"{method}: {error}")
        self.error = error


class SlackWeb:
    """Calls methods with the token of an endpoint, the bot's or the app's."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self.name = endpoint.name
        limits = dict(LIMITS)
        if asked := endpoint.config.get("history_calls_per_minute"):
            limits |= dict.fromkeys(("conversations.history", "conversations.replies"), int(asked))
        rules = ApiRules(
            authorize=lambda token: {"authorization": f"Bearer {token}"},
            classify=_classify_for(endpoint.name),
            limits_per_minute=limits,
        )
        self._api = ApiClient(endpoint, rules, clock, api_base=f"{endpoint.base.rstrip('/')}/api")

    def call(self, method: str, **arguments: str | int | bool | None) -> ApiAnswer:
        """The answer of a method that was done; arguments that are None are left out."""
        form = {name: _written(value) for name, value in arguments.items() if value is not None}
        return self._done(method, form=form)

    def write(self, method: str, content: Mapping[str, Any]) -> ApiAnswer:
        """The same with arguments that are more than words."""
        return self._done(method, json={name: value for name, value in content.items() if value is not None})

    def _done(self, method: str, **content: Any) -> ApiAnswer:
        try:
            answer = self._api.call("POST", method, bucket=method, **content)
        except ApiRefusal as error:
            raise ConnectionDown(f"{error.message}; is {self.name} the address of Slack?") from error
        body = answer.body
        if not isinstance(body, Mapping) or not isinstance(body.get("ok"), bool):
            raise ConnectionDown(f"{self.name}: {method} was answered by something that is not Slack")
        if not body["ok"]:
            raise SlackRefusal(str(body.get("error"))[:100], method)
        return answer


def _written(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _classify_for(name: str) -> Callable[[ApiAnswer, datetime], DctError | None]:
    def classify(answer: ApiAnswer, now: datetime) -> DctError | None:
        """Slack's signs within a 200 that concern the whole connection."""
        body = answer.body
        if answer.status != 200 or not isinstance(body, Mapping) or body.get("ok") is not False:
            return None
        error = str(body.get("error"))
        if error == "ratelimited":
            until = retry_at(answer.headers, now) if "retry-after" in answer.headers else now + UNTOLD_PAUSE
            return Throttled(f"{name}: Slack asks to wait until {until:%H:%M:%S} UTC", not_before=until)
        if error == "missing_scope":
            needed = shown(str(body.get("needed") or "unknown"))
            return MissingScope(
                f"{name}: the token lacks the scope {needed}; add it and install the app again"
            )
        if error in REFUSED:
            return CredentialRefused(f"{name}: Slack refused the token ({error}); renew it")
        if error in PASSING:
            return ConnectionDown(f"{name}: Slack answered {error}; it is tried again")
        return None

    return classify
