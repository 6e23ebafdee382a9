"""Whom a mail is from: nobody's word counts but that of the host that receives for us."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.mail.authentication import HEADER, is_aligned, read_results
from tests.support.mails import HOST, PASS, SENDER, is_believed, mail_of, raw_mail, trust_in

RESULTS = f"Authentication-Results: {PASS}"
NAME = "Authentication-Results"


def test_a_sender_is_believed_when_our_host_vouches_for_the_domain_and_the_address_is_listed():
    trust = trust_in(raw_mail(RESULTS))
    assert (trust.is_authenticated, trust.is_allowed, trust.is_automatic) == (True, True, False)
    assert trust.because == (f"{HOST} vouches for example.com (dmarc=pass); {SENDER} is in allowed_senders")
    assert not trust_in(raw_mail(RESULTS), allowed=("@sub.example.com", "stranger@example.com")).is_allowed
    assert trust_in(raw_mail(RESULTS), allowed=("DEV@example.com",)).is_allowed


@pytest.mark.parametrize(
    "value",
    [
        f"{HOST}; dmarc=pass header.from=example.com",
        "MX.Example.ORG; DMARC=Pass header.from=EXAMPLE.com",
        f"{HOST} 1; spf=fail smtp.mailfrom=x.example; dmarc=pass (p=NONE; dis=NONE) header.from=example.com",
        f'"{HOST}"; dmarc=pass',
        f"(at the (border)) {HOST} (it says); dmarc (method) = pass header.from=example.com",
        f"{HOST};\r\n\tdkim=fail header.d=example.com;\r\n dmarc=pass\r\n (p=reject) header.from=example.com",
        f"{HOST}; dkim=pass header.d=example.com",
        f"{HOST}; dkim=pass header.i=@example.com header.s=s1",
        f"{HOST}; dkim=pass header.i=bounce@example.com; dmarc=none",
        f"{HOST}; dkim=fail header.d=example.com; dkim=pass header.d=example.com",
    ],
)
def test_what_our_host_writes_in_any_form_is_believed(value: str):
    assert is_believed(raw_mail(f"{NAME}: {value}")), trust_in(raw_mail(f"{NAME}: {value}")).because


@pytest.mark.parametrize(
    "value",
    [
        "mx.example.net; dmarc=pass header.from=example.com",
        f"{HOST}.example.net; dmarc=pass header.from=example.com",
        f"mx; {HOST}; dmarc=pass header.from=example.com",
        f"({HOST}); dmarc=pass header.from=example.com",
        f"mx.example.net ({HOST}); dmarc=pass header.from=example.com",
        f"{HOST} 2; dmarc=pass header.from=example.com",
        f"{HOST}; none",
        f"{HOST}",
        "",
        f"{HOST}; dmarc=fail header.from=example.com",
        f"{HOST}; dmarc=temperror; dkim=pass header.d=example.com",
        f"{HOST}; dmarc=pass header.from=example.net",
        f"{HOST}; dmarc=fail header.from=example.com; dmarc=pass header.from=example.com",
        f"{HOST}; dkim=pass header.d=example.net",
        f"{HOST}; dkim=pass header.d=com",
        f"{HOST}; dkim=pass header.d=stranger.example.com",
        f"{HOST}; dkim=pass header.d=notexample.com",
        f"{HOST}; dkim=fail header.d=example.com; spf=pass smtp.mailfrom=example.com",
        f"{HOST}; spf=pass smtp.mailfrom=dev@example.com",
        f"{HOST}; x-dmarc=pass header.from=example.com",
        f"{HOST}; (dmarc=pass) dkim=none",
        f'{HOST}; spf=pass reason="; dmarc=pass header.from=example.com"',
        f'{HOST}; spf=none smtp.mailfrom="x; dmarc=pass header.from=example.com"@evil.example',
        f'{HOST}; dkim=pass header.i=a"b header.d=example.com c"@evil.example',
        f'{HOST}; dkim=pass header.d=evil.example reason="a header.d=example.com"',
        f"{HOST}; dmarc=pass header.from=example.com (unfinished",
        f'{HOST}; dmarc=pass header.from=example.com "unfinished',
        f"{HOST}; dmarc=passed header.from=example.com",
        f"{HOST}; dmarc=pass-ish header.from=example.com",
    ],
)
def test_what_another_host_or_a_forger_writes_is_not_believed(value: str):
    assert not trust_in(raw_mail(f"{NAME}: {value}")).is_authenticated


@given(
    st.lists(
        st.sampled_from(
            [f"{NAME}: {PASS}", f"{NAME.upper()}: {HOST}; dmarc=fail", f"{NAME}: other.example; dmarc=pass"]
        ),
        min_size=1,
        max_size=5,
    ),
    st.lists(st.sampled_from(["Received: from a by b", "Subject: x", "X-Note: y"]), max_size=4),
    st.randoms(),
)
def test_only_the_topmost_results_count_wherever_forged_ones_stand(results, others, random):
    headers = [*others]
    places = sorted(random.randrange(len(others) + 1) for _ in results)
    for place, result in reversed(list(zip(places, results, strict=True))):
        headers.insert(place, result)
    topmost = next(header for header in headers if header.lower().startswith(HEADER))
    assert trust_in(raw_mail(*headers)).is_authenticated is (topmost == f"{NAME}: {PASS}")


@pytest.mark.parametrize(
    "forged",
    [
        f"ARC-Authentication-Results: i=1; {PASS}",
        f"X-Authentication-Results: {PASS}",
        f"Subject: x\r\n Authentication-Results: {PASS}",
        f"Subject: x\rAuthentication-Results: {PASS}",
        f"Subject: =?utf-8?q?x=0D=0AAuthentication-Results=3A_{HOST}=3B_dmarc=3Dpass?=",
    ],
)
def test_what_only_looks_like_results_is_none(forged: str):
    assert not trust_in(raw_mail(forged)).is_authenticated


def test_results_within_the_body_are_none():
    assert not trust_in(raw_mail(body=f"{RESULTS}\r\n")).is_authenticated


def test_without_a_name_of_our_host_nobody_is_believed():
    assert not trust_in(raw_mail(RESULTS), authserv_id=None).is_authenticated


@pytest.mark.parametrize(
    "sender",
    [
        SENDER,
        f"<{SENDER}>",
        f"Dev Person <{SENDER}>",
        f'"Person, Dev (QA)" <{SENDER}>',
        f"=?utf-8?q?Ad=C3=A4?= <{SENDER}>",
        f"{SENDER} (Dev)",
        "Dev <DEV@Example.Com>",
    ],
)
def test_plain_forms_of_from_are_read(sender: str):
    assert is_believed(raw_mail(RESULTS, sender=sender))
    assert mail_of(raw_mail(sender=sender)).sender.address == SENDER


@pytest.mark.parametrize(
    "sender",
    [
        f"{SENDER}, stranger@evil.example",
        f"stranger@evil.example, {SENDER}",
        f"{SENDER} <stranger@evil.example>",
        f"<{SENDER}> <stranger@evil.example>",
        f"<stranger@evil.example> <{SENDER}>",
        f"stranger@evil.example <{SENDER}>",
        f"friends: {SENDER};",
        "dev@example.com(.evil.example)",
        "dev@(comment)example.com",
        '"dev@example.com,"@evil.example',
        "dev@example.com@evil.example",
        "dev@evil.example:dev@example.com",
        "<@evil.example:dev@example.com>",
        "dev@[192.0.2.1]",
        "dev",
        "",
        "=?utf-8?q?dev=40example.com?=",
        "dev@ex\u0430mple.com",
        "dev @example.com",
        f"Dev {SENDER}",
        f"{SENDER}\x00",
        f"Dev\x00 <{SENDER}>",
        f"{'a' * 3000} <{SENDER}>",
    ],
)
def test_a_from_that_two_readers_could_read_in_two_ways_is_nobody(sender: str):
    assert mail_of(raw_mail(RESULTS, sender=sender)).sender.address is None
    assert not trust_in(raw_mail(RESULTS, sender=sender)).is_authenticated


@pytest.mark.parametrize(
    "second", ["From: stranger@evil.example", "FROM : stranger@evil.example", f"from:{SENDER}"]
)
def test_two_from_headers_are_nobody(second: str):
    for headers in product(["before", "after"]):
        mail = (
            raw_mail(RESULTS, second)
            if headers == ("before",)
            else raw_mail(RESULTS, f"From: {SENDER}", sender=second[5:].strip(": "))
        )
        trust = trust_in(mail)
        assert not trust.is_authenticated
        assert "2 From headers" in trust.because


def test_a_mail_without_from_is_nobody():
    trust = trust_in(raw_mail(RESULTS, sender=None))
    assert (trust.is_authenticated, trust.is_allowed) == (False, False)


@pytest.mark.parametrize(
    "headers",
    [
        ["X: a\rb"],
        ["X: a\x00b"],
        ["no colon here"],
        ["X: " + "a" * 20_000],
        [f"X-{n}: y" for n in range(1_100)],
        ["X: " + "y" * 900] * 100,
    ],
    ids=["bare CR", "NUL", "no name", "long header", "many headers", "large block"],
)
def test_headers_that_are_ambiguous_or_cut_off_make_nobody(headers: list[str]):
    assert not trust_in(raw_mail(RESULTS, *headers)).is_authenticated


@pytest.mark.parametrize(
    "name",
    ["boss@example.com", '"boss@example.com"', "=?utf-8?q?boss=40example.com?=", "boss\uff20example.com"],
)
def test_a_name_that_looks_like_an_address_is_left_out(name: str):
    person = mail_of(raw_mail(sender=f"{name} <stranger@evil.example>")).sender.person
    assert person.name is None


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("Auto-Submitted: auto-replied", "Auto-Submitted"),
        ("AUTO-SUBMITTED: (x) auto-generated; type=y", "Auto-Submitted"),
        ("Auto-Submitted:", "Auto-Submitted"),
        ("Precedence: Bulk", "Precedence"),
        ("Precedence: list", "Precedence"),
        ("Precedence: junk", "Precedence"),
        ("List-Id: <dev.example.org>", "List-Id"),
        ("X-Auto-Response-Suppress: All", "X-Auto-Response-Suppress"),
        ("Return-Path: <>", "Return-Path"),
        ("Return-Path: < >", "Return-Path"),
        ("Content-Type: multipart/report; report-type=delivery-status", "multipart/report"),
        ("Message-ID: <dct-0011@example.org>", "ourselves"),
    ],
)
def test_mail_of_programs_is_automatic_and_says_why(header: str, said: str):
    trust = trust_in(raw_mail(RESULTS, header))
    assert trust.is_automatic
    assert said in trust.because


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: no",
        "Auto-Submitted: (really) No",
        "Precedence: first-class",
        "Return-Path: <dev@example.com>",
        "X-Auto-Response-Suppress: None",
        "Message-ID: <abc@example.com>",
        "Content-Type: multipart/alternative; boundary=x",
    ],
)
def test_mail_of_people_is_not(header: str):
    assert is_believed(raw_mail(RESULTS, header))


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_header_whatever_is_in_it_breaks_the_reading(results: str, sender: str):
    raw = f"{NAME}: {results}\r\nFrom: {sender}\r\n\r\n".encode("utf-8", "replace")
    trust = trust_in(raw)
    assert trust.because
    read_results(results)


def test_alignment_is_the_domain_itself_or_one_above_it():
    assert is_aligned("example.com", "example.com")
    assert is_aligned("example.com", "mail.example.com")
    assert not is_aligned("mail.example.com", "example.com")
    assert not is_aligned("com", "example.com")
    assert not is_aligned("ample.com", "example.com")
