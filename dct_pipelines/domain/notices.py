"""Sending a list of notifications and putting in words what became of them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, DctError, Scope, Throttled
from dct_pipelines.domain.operations import Notification
from dct_pipelines.domain.outcome import Outcome, done, nothing_to_do, partly
from dct_pipelines.domain.ports import ChannelPort


@dataclass
class Sending:
    """What became of each notification. Receivers read `channel:receiver`."""

    sent: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)
    failed: dict[str, DctError] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    """What the channels call the messages."""
    threads: list[str] = field(default_factory=list)
    """Where answers to them go."""

    def add(self, channel: ChannelPort, notification: Notification) -> None:
        """Send one; a failure of one receiver does not keep the others from theirs."""
        where = f"{notification.channel}:{notification.receiver}"
        try:
            receipt = channel.send(notification)
        except DctError as error:
            self.failed[where] = error
            return
        told = {"sent": self.sent, "duplicate": self.known, "uncertain": self.uncertain}
        told[receipt.state].append(where)
        if receipt.message_id is not None:
            self.messages.append(receipt.message_id)
            self.threads.append(notification.thread or receipt.message_id)

    def outcome(self, keys: Sequence[str]) -> Outcome:
        """The outcome. An error when nobody was reached, or when somebody may be reached later.

        It is tried again then; those who were told are not told again.
        """
        unreached = [f"{where} ({error})" for where, error in self.failed.items()]
        unreached += [f"{where} (it may have arrived)" for where in self.uncertain]
        outputs: dict[str, Any] = {
            "sent": len(self.sent) + len(self.known),
            "keys": list(keys),
            "unreached": unreached,
            "messages": self.messages,
            "thread": self.threads[0] if self.threads else "",
        }
        waits = [error.not_before for error in self.failed.values() if isinstance(error, Throttled)]
        if waits:
            raise Throttled("not everybody was told yet: " + "; ".join(unreached), not_before=max(waits))
        for error in self.failed.values():
            if error.transient and error.scope is Scope.SYSTEM:
                raise type(error)("not everybody was told: " + "; ".join(unreached))
        if any(error.transient for error in self.failed.values()):
            raise ActionInterrupted("not everybody was told yet: " + "; ".join(unreached))
        if self.failed and not (self.sent or self.known or self.uncertain):
            raise ActionFailed("nobody was told: " + "; ".join(unreached))
        if unreached:
            told = f"told {', '.join(self.sent + self.known)}; " if self.sent or self.known else ""
            return partly(f"{told}not certain or not reached: {'; '.join(unreached)}", **outputs)
        if not self.sent:
            return nothing_to_do(f"{', '.join(self.known)} had it already", **outputs)
        return done(f"told {', '.join(self.sent + self.known)}", **outputs)


def channel_of(name: str, channels: Mapping[str, ChannelPort]) -> ChannelPort:
    """The channel of that name, or `ActionFailed` with the nearest one that there is."""
    if (channel := channels.get(name)) is not None:
        return channel
    close = difflib.get_close_matches(name, channels, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(channels)) or 'none'}"
    raise ActionFailed(f"there is no channel {name!r}; {hint} (see `dct channel list`)")
