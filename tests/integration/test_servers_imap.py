"""The IMAP server that tests start: what listeners and tests rely on."""

from __future__ import annotations

import imaplib
import ssl

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from tests.support.servers.imap_server import PASSWORD, Mailbox

pytestmark = pytest.mark.integration

MAIL = b"From: Dev <dev@example.org>\r\nSubject: Hello\r\nMessage-ID: <1@example.org>\r\n\r\nHi\r\n"


def test_imap_delivers_with_the_headers_of_a_last_server(mailbox: Mailbox):
    mailbox.deliver(MAIL, sender="bounce@example.org")
    mailbox.client.select_folder("INBOX", readonly=True)
    text = mailbox.client.fetch([1], ["BODY.PEEK[]"])[1][b"BODY[]"]
    assert text.startswith(b"Return-Path: <bounce@example.org>\r\nDelivered-To: " + mailbox.user.encode())
    assert text.endswith(MAIL)


def test_imap_counts_changes_and_keeps_seen_flags_to_itself(mailbox: Mailbox):
    client = mailbox.client
    assert {b"CONDSTORE", b"QRESYNC", b"IDLE", b"MOVE", b"UIDPLUS"} <= set(client.capabilities())
    uids = [mailbox.append(MAIL) for _ in range(2)]
    assert uids == [1, 2]
    status = client.folder_status("INBOX", ["UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ", "MESSAGES"])
    assert (status[b"UIDNEXT"], status[b"MESSAGES"]) == (3, 2)
    selected = client.select_folder("INBOX", readonly=True)
    assert selected[b"UIDVALIDITY"] == status[b"UIDVALIDITY"]
    assert client.fetch([1], ["BODY.PEEK[]"])[1][b"BODY[]"] == MAIL
    assert b"\\Seen" not in client.fetch([1], ["FLAGS"])[1][b"FLAGS"]
    client.unselect_folder()
    client.select_folder("INBOX")
    client.add_flags([1], [b"\\Seen"])
    changed = client.fetch([1, 2], ["FLAGS"], [f"CHANGEDSINCE {status[b'HIGHESTMODSEQ']}"])
    assert list(changed) == [1]


def test_imap_tells_a_waiting_client_of_new_mail(mailbox: Mailbox):
    mailbox.client.select_folder("INBOX", readonly=True)
    mailbox.client.idle()
    mailbox.deliver(MAIL)
    heard = mailbox.client.idle_check(timeout=20)
    mailbox.client.idle_done()
    assert (1, b"EXISTS") in heard


def test_imap_moves_deletes_and_starts_folders_anew(mailbox: Mailbox):
    first, second = mailbox.append(MAIL), mailbox.append(MAIL)
    mailbox.move(first, "Archive")
    mailbox.delete(second)
    assert mailbox.client.folder_status("INBOX", ["MESSAGES"])[b"MESSAGES"] == 0
    before = mailbox.client.folder_status("Archive", ["UIDVALIDITY", "MESSAGES"])
    mailbox.recreate("Archive")
    after = mailbox.client.folder_status("Archive", ["UIDVALIDITY", "MESSAGES"])
    assert (before[b"MESSAGES"], after[b"MESSAGES"]) == (1, 0)
    assert before[b"UIDVALIDITY"] != after[b"UIDVALIDITY"]


def test_imap_takes_the_password_or_a_token_and_nothing_else(mailbox: Mailbox):
    server = mailbox.server
    with IMAPClient(server.host, server.port, ssl=False) as client:
        with pytest.raises(LoginError):
            client.login(mailbox.user, "wrong")
        client.oauth2_login(mailbox.user, PASSWORD)
        client.select_folder("INBOX", readonly=True)
    with imaplib.IMAP4(server.host, server.port) as plain, pytest.raises(imaplib.IMAP4.error):
        plain.authenticate("XOAUTH2", lambda _: f"user={mailbox.user}\x01auth=Bearer wrong\x01\x01".encode())


def test_imap_speaks_tls_with_a_certificate_that_one_may_trust(mailbox: Mailbox):
    server = mailbox.server
    trusting = ssl.create_default_context(cafile=str(server.certificate))
    with IMAPClient("localhost", server.tls_port, ssl_context=trusting) as client:
        client.login(mailbox.user, mailbox.password)
    with IMAPClient(server.host, server.port, ssl=False) as upgraded:
        upgraded.starttls(trusting)
        upgraded.login(mailbox.user, mailbox.password)
    with pytest.raises(ssl.SSLCertVerificationError):
        IMAPClient(server.host, server.tls_port, ssl_context=ssl.create_default_context())
