"""Mails that are built to be slow, large or deep are read in bounded time."""

from __future__ import annotations

import time

import pytest

from dct_pipelines.domain.text_rules import LONGEST_TEXT
from tests.support.mails import fetched, mail_of, raw_mail

LIMIT_SECONDS = 3.0
"""On a busy machine; each takes a fraction of it alone."""


def nested(depth: int) -> bytes:
    """Parts in parts, each with a boundary of its own."""
    opening = "".join(
        f"--b{level}\r\nContent-Type: multipart/mixed; boundary=b{level + 1}\r\n\r\n"
        for level in range(depth)
    )
    return f"{opening}--b{depth}\r\n\r\nDeploy it".encode()


def test_parts_that_are_nested_deep_are_not_read_and_that_is_said():
    assert (
        fetched(raw_mail("Content-Type: multipart/mixed; boundary=b0", body=nested(10))).text == "Deploy it"
    )
    deep = fetched(raw_mail("Content-Type: multipart/mixed; boundary=b0", body=nested(3000)))
    assert deep.text == ""
    assert "nested" in (deep.fault or "")


HTML = "text/html; charset=utf-8"
PARTS = "multipart/mixed; boundary=b0"
BOMBS: dict[str, tuple[str, str | bytes]] = {
    "50 MB": ("text/plain", b"Deploy it now\r\n" * 3_500_000),
    "nested parts": (PARTS, nested(4_000)),
    "nested mails": (
        "multipart/mixed; boundary=b0",
        "--b0\r\nContent-Type: message/rfc822\r\n\r\n" * 5_000,
    ),
    "many parts": (PARTS, "--b0\r\nContent-Type: image/x\r\n\r\n\r\n" * 7_000),
    "boundary lookalikes": (PARTS, "--b0-\r\n" * 30_000),
    "line breaks": ("text/plain", "\r\n" * 120_000),
    "carriage returns": ("text/plain", "\r" * 250_000),
    "one long line": ("text/plain", "On " + "a " * 120_000 + "wrote:"),
    "quote introductions": ("text/plain", "On Monday somebody wrote:\r\n" * 9_000),
    "almost introductions": ("text/plain", ("On " + "a " * 95 + "\r\n") * 1_300),
    "reply marks": ("text/plain", "> " * 120_000),
    "from lines": ("text/plain", "From: a\r\nTo: b\r\n" * 15_000),
    "rules": ("text/plain", ("_" * 40 + "\r\n\r\n") * 5_000),
    "disclaimers": ("text/plain", "Warning: mail mail mail\r\n" * 9_000),
    "deep HTML": (HTML, "<div>" * 50_000 + "x"),
    "deep hidden HTML": (HTML, '<div style="color:red">' * 11_000 + "x"),
    "unclosed HTML": (HTML, "<" * 250_000),
    "unclosed comment": (HTML, "<!--" * 60_000),
    "entities": (HTML, "&amp;" * 50_000),
    "table soup": (HTML, "<table><a>" * 25_000),
    "formatting soup": (HTML, "<b><i><u><p>" * 20_000),
    "a long style": (HTML, f'<p style="{"a:b;" * 60_000}">x'),
    "many styles": (HTML, "<style>" + "p{color:transparent}" * 900 + "</style>" + "<p>x" * 50_000),
    "open rules": (HTML, "<style>" + "{" * 200_000 + "</style>x"),
    "media rules": (HTML, "<style>" + "@media (" * 25_000 + "</style>x"),
    "slashes": (HTML, "<style>" + "/*" * 100_000 + "</style>x"),
    "selectors": (HTML, "<style>" + ":not(" * 4_000 + "{display:none}</style>" + "<p>" * 1_000),
    "base64": (f"{HTML}\r\nContent-Transfer-Encoding: base64", "PGI+" * 60_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_mail_that_is_built_to_be_slow_is_read_in_time(name: str):
    content_type, body = BOMBS[name]
    raw = raw_mail(f"Content-Type: {content_type}", body=body)
    began = time.thread_time()
    mail = fetched(raw)
    assert time.thread_time() - began < LIMIT_SECONDS
    assert len(mail.text) <= LONGEST_TEXT


HEADER_BOMBS = {
    "many headers": ["X: y"] * 12_000,
    "one header": ["X: " + "y" * 60_000],
    "folds": ["X: y" + "\r\n z" * 15_000],
    "references": ["References: " + "<a@b> " * 9_000],
    "broken references": ["References: " + "<" * 60_000],
    "encoded words": ["Subject: " + "=?utf-8?q?=41?= " * 3_500],
    "broken encoded words": ["Subject: " + "=?" * 30_000],
    "comments": ["Authentication-Results: " + "(" * 60_000],
    "quotes": ["Authentication-Results: mx.example.org; " + '"' * 60_000],
    "results": ["Authentication-Results: mx.example.org" + "; dmarc=pass" * 5_000],
    "properties": ["Authentication-Results: mx.example.org; dkim=pass" + " a=b" * 15_000],
    "equals": ["Authentication-Results: mx.example.org; dkim " + "= " * 15_000],
    "addresses": ["From: " + "a@b, " * 12_000],
    "nested comments in from": ["From: " + "(" * 30_000 + ")" * 30_000],
    "spaces": ["From: a" + " " * 60_000 + "<a@b>"],
    "dots": ["From: a@" + "b." * 1_000],
    "parameters": ["Content-Type: text/plain" + "; a=b" * 10_000],
    "a parameter": ['Content-Type: text/plain; charset="' + "\\" * 60_000],
}


@pytest.mark.parametrize("name", HEADER_BOMBS)
def test_headers_that_are_built_to_be_slow_are_read_in_time(name: str):
    raw = raw_mail(*HEADER_BOMBS[name], sender=None if "From" in HEADER_BOMBS[name][0] else "dev@example.com")
    began = time.thread_time()
    mail = mail_of(raw)
    mail.trust("mx.example.org", ("@example.com",))
    assert time.thread_time() - began < LIMIT_SECONDS
    assert len(mail.subject) <= 1_000
    assert len(mail.relatives) <= 102
