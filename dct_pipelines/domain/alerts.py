"""Alerts: one message when something is out of order, and one when it is in order again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True)
class Alert:
    """A connection went down, or recovered. `detail` is the provider's word or ours."""

    kind: Literal["connection_down", "connection_recovered"]
    connection: str
    connection_type: str
    detail: str
    at: datetime

    @property
    def text(self) -> str:
        """One sentence for people."""
        if self.kind == "connection_recovered":
            return f"Connection {self.connection} ({self.connection_type}) is read again: {self.detail}."
        return f"Connection {self.connection} ({self.connection_type}) is down: {self.detail}"


class AlertPort(Protocol):
    """Brings an alert to whoever has to know; may raise, which disturbs nobody."""

    def send(self, alert: Alert) -> None:
        """Tell it."""
