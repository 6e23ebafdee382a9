"""What is believed about the sender of a mail, with the reasons in words."""

from __future__ import annotations

from dct_pipelines.domain.facts import MailTrust
from dct_pipelines.domain.mail.address import Sender
from dct_pipelines.domain.mail.authentication import judge_sender
from dct_pipelines.domain.mail.headers import HeaderBlock
from dct_pipelines.domain.matching import shown

OWN_ID = "dct-"
"""How the Message-ID of each mail begins that we send."""
_PROGRAMS = frozenset({"bulk", "list", "junk"})


def trust_of(
    headers: HeaderBlock, sender: Sender, authserv_id: str | None, allowed_senders: tuple[str, ...]
) -> MailTrust:
    """Judge a mail for one item: who vouches for its sender, who listed it, who wrote it."""
    if sender.address is None:
        is_authenticated, because = False, f"nobody vouches for it: {sender.fault}"
    else:
        is_authenticated, because = judge_sender(headers, authserv_id, sender.domain)
    is_allowed = sender.is_in(allowed_senders)
    who = sender.address or "the sender"
    reasons = [because, f"{who} is {'' if is_allowed else 'not '}in allowed_senders"]
    automatic = why_automatic(headers)
    return MailTrust(
        is_authenticated=is_authenticated,
        is_allowed=is_allowed,
        is_automatic=automatic is not None,
        because="; ".join([automatic, *reasons] if automatic else reasons),
    )


def why_automatic(headers: HeaderBlock) -> str | None:
    """Why a mail counts as a program's (RFC 3834 and what mail servers do besides), or None."""
    submitted = headers.word("auto-submitted")
    if headers.all("auto-submitted") and submitted != "no":
        return f"it says Auto-Submitted: {shown(submitted)}"
    if (precedence := headers.word("precedence")) in _PROGRAMS:
        return f"it says Precedence: {precedence}"
    if headers.all("list-id"):
        return "it came over a mailing list (List-Id)"
    if headers.first("x-auto-response-suppress") and headers.word("x-auto-response-suppress") != "none":
        return "it asks programs not to answer (X-Auto-Response-Suppress)"
    if any(value.replace(" ", "") == "<>" for value in headers.all("return-path")):
        return "it has no sender to return it to (Return-Path: <>), as bounces have"
    if headers.word("content-type") == "multipart/report":
        return "it is a report of a mail server (multipart/report)"
    if any(message_id.startswith(OWN_ID) for message_id in headers.ids("message-id")):
        return "we sent it ourselves"
    return None
