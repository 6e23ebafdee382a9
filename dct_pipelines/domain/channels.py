"""How people are told: the channels that an operator defines."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dct_pipelines.domain.operations import SecretRef
from dct_pipelines.domain.trigger import Definition, Name

LONGEST_SEND_SECONDS = 300.0
"""No channel is at one message for longer, whatever its steps are: others may take it for dead then."""
SMTP_STEPS = 3
"""So many times `timeout_seconds` a whole mail may take, whose steps mostly take no time at all."""


class SmtpChannel(Definition):
    """Mail through a server. `receivers` are whom it may write to: addresses, or `@example.org` for any."""

    type: Literal["smtp"] = "smtp"
    name: Name
    description: str = ""
    host: str
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`none` is for a relay on this machine; a password is never sent without encryption."""
    ca_file: str | None = None
    """Certificates to trust instead of the system's."""
    username: str | None = None
    password: SecretRef | None = None
    """With `auth: xoauth2` the secret of the application `client_id`, else an access token."""
    auth: Literal["password", "xoauth2"] = "password"
    token_url: str | None = None
    client_id: str | None = None
    scope: str | None = None
    sender: str
    receivers: tuple[str, ...] = Field(min_length=1)
    timeout_seconds: float = Field(default=20, gt=0, le=300)
    """For each answer of the server; a whole mail may take three times that, and five minutes at most."""

    @property
    def send_seconds(self) -> float:
        """How long a whole mail may take."""
        return min(SMTP_STEPS * self.timeout_seconds, LONGEST_SEND_SECONDS)

    @model_validator(mode="after")
    def _password_only_encrypted(self) -> Self:
        if (self.token_url is None) is not (self.client_id is None):
            raise ValueError("token_url and client_id go together; give both or none")
        if self.auth == "password" and (self.token_url or self.scope):
            raise ValueError("token_url, client_id and scope need auth: xoauth2")
        if self.auth == "xoauth2" and not self.password:
            raise ValueError("auth: xoauth2 needs username and password (the application's secret)")
        if (self.username is None) is not (self.password is None):
            raise ValueError("username and password go together; give both or none")
        if self.password and self.security == "none":
            raise ValueError("a password needs security: starttls or tls")
        return self


class WebhookChannel(Definition):
    """Signed POSTs to one address of another system, which is the only receiver."""

    type: Literal["webhook"] = "webhook"
    name: Name
    description: str = ""
    url: str
    secret: SecretRef | None = None
    allow_private_network: bool = False
    timeout_seconds: float = Field(default=20, gt=0, le=300)


class SlackChannel(Definition):
    """Messages by the bot of a Slack connection. `receivers` are whom it may write to; `*` is anybody.

    A receiver is `#channel`, a channel's id, `@user`, a user's id, or a user's mail address.
    """

    type: Literal["slack"] = "slack"
    name: Name
    description: str = ""
    connection: Name
    receivers: tuple[str, ...] = Field(min_length=1)
    username: str | None = Field(default=None, max_length=80)
    """Shown instead of the bot's name; the app needs the scope chat:write.customize for it."""


class OutboxChannel(Definition):
    """A directory that gets one JSON file a message; there without any account."""

    type: Literal["outbox"] = "outbox"
    name: Name
    description: str = ""


ChannelSpec = Annotated[
    SmtpChannel | WebhookChannel | SlackChannel | OutboxChannel, Field(discriminator="type")
]
"""How people are told, as an operator's manifest of kind `channel`. `outbox` is always there."""
