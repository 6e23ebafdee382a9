"""The ticket tracker of a dry run: reads pass, every write becomes a sentence, which what follows sees."""

from __future__ import annotations

from dataclasses import replace

from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.matching import shown
from dct_pipelines.domain.tracking.port import TicketComment, TicketNow, TrackerPort, Transition


class DryTracker:
    """Changes nothing."""

    def __init__(self, inner: TrackerPort, would: list[str]) -> None:
        self._inner = inner
        self._would = would
        self._changed: dict[str, TicketNow] = {}
        self.find_user = inner.find_user
        self.find_comment = inner.find_comment
        self.took = inner.took
        self.write_ids = inner.write_ids

    def ticket(self, ticket: str) -> TicketNow:
        """The ticket, as this dry run would have left it."""
        now = self._inner.ticket(ticket)
        return self._changed.get(now.key, now)

    def transitions(self, ticket: str) -> tuple[Transition, ...]:
        """Those that are offered now; what would be after a transition, only taking it tells."""
        return self._inner.transitions(ticket)

    def take(self, ticket: str, transition: Transition, mark: str) -> None:
        """Said."""
        self._said(f"move {ticket} to {shown(transition.to_status)}")
        self._change(replace(self.ticket(ticket), status=transition.to_status))

    def assign(self, ticket: str, user: Person | None, mark: str) -> None:
        """Said."""
        self._said(f"assign {ticket} to {shown(str(user or 'nobody'))}")
        self._change(replace(self.ticket(ticket), assignee=user))

    def set_priority(self, ticket: str, priority: str, mark: str) -> None:
        """Said; whether there is such a priority, only setting it tells."""
        self._said(f"set the priority of {ticket} to {shown(priority)}")
        self._change(replace(self.ticket(ticket), priority=priority))

    def change_labels(self, ticket: str, add: tuple[str, ...], remove: tuple[str, ...], mark: str) -> None:
        """Said."""
        words = [*(f"+{shown(one)}" for one in add), *(f"-{shown(one)}" for one in remove)]
        self._said(f"change the labels of {ticket}: {' '.join(words)}")
        now = self.ticket(ticket)
        labels = tuple(label for label in now.labels if label not in remove) + add
        self._change(replace(now, labels=labels))

    def comment(self, ticket: str, text: str, mark: str) -> TicketComment:
        """Said."""
        self._said(f"comment on {ticket}: {shown(text)!r}")
        return TicketComment("<comment>", Person(), text)

    def link(self, ticket: str, url: str, title: str, key: str) -> bool:
        """Said; whether it is there just so already, is not asked."""
        self._said(f"link {ticket} to {shown(url)}")
        return True

    def _said(self, sentence: str) -> None:
        self._would.append(sentence)

    def _change(self, now: TicketNow) -> None:
        self._changed[now.key] = now
