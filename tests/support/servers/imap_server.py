"""An IMAP server: Dovecot, with CONDSTORE, QRESYNC, IDLE and MOVE, in plain text and with TLS.

Every user name is known; the first login or delivery makes its mailbox, so that each test has an own one.
Works as root (mail then belongs to nobody) and as anybody else.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import smtplib
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.support.servers.process import ServerFailed, free_port, running

PASSWORD = "correct-horse"
"""Everybody's. It is also the only access token that XOAUTH2 and OAUTHBEARER take."""

CONFIGURATION = """\
base_dir = {home}/run
state_dir = {home}/state
instance_name = {home.name}
log_path = /dev/stderr
protocols = imap lmtp
listen = 127.0.0.1
default_login_user = {login_user}
default_internal_user = {internal_user}
default_internal_group = {internal_group}
ssl = yes
ssl_cert = <{home}/certificate.pem
ssl_key = <{home}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login xoauth2 oauthbearer
auth_failure_delay = 0
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{home}/mail/%u
mail_uid = {uid}
mail_gid = {gid}
mail_max_userip_connections = 50
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


@dataclass(frozen=True)
class ImapServer:
    """`certificate` is what a client has to trust for `tls_port`; it names localhost and 127.0.0.1."""

    port: int
    tls_port: int
    lmtp_port: int
    certificate: Path
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class Mailbox:
    """One user's mailbox and what others do to it. `client` speaks for the user, in a session of its own."""

    server: ImapServer
    user: str
    client: IMAPClient
    password: str = PASSWORD

    def deliver(self, mail: bytes, sender: str = "somebody@example.org") -> None:
        """Hand it over as a last mail server does: with Return-Path, Delivered-To and Received on top."""
        with smtplib.LMTP(self.server.host, self.server.lmtp_port) as session:
            session.sendmail(sender, [self.user], mail)

    def append(self, mail: bytes, folder: str = "INBOX") -> int:
        """Put these very bytes into the folder. Gives the UID."""
        answer: bytes = self.client.append(folder, mail)
        return int(answer.partition(b"APPENDUID")[2].split()[1].rstrip(b"]"))

    def delete(self, *uids: int, folder: str = "INBOX") -> None:
        """Delete them for good."""
        self.client.select_folder(folder)
        self.client.delete_messages(uids)
        self.client.uid_expunge(uids)
        self.client.unselect_folder()

    def move(self, uid: int, folder: str) -> None:
        """Move it out of the inbox, into a folder that is made if needed."""
        if not self.client.folder_exists(folder):
            self.client.create_folder(folder)
        self.client.select_folder("INBOX")
        self.client.move([uid], folder)
        self.client.unselect_folder()

    def recreate(self, folder: str) -> None:
        """Delete a folder and make it anew: its UIDVALIDITY changes. Not for INBOX."""
        self.client.delete_folder(folder)
        self.client.create_folder(folder)


def _program() -> str:
    found = shutil.which("dovecot", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        raise ServerFailed("Dovecot is missing; as root: scripts/system-packages.sh installs it")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if not version.startswith("2.3."):
        raise ServerFailed(f"Dovecot 2.3 is needed, whose configuration the tests write; here is {version}")
    return found


def certify(home: Path) -> Path:
    """A key, and a certificate that it signed itself; gives the certificate."""
    certificate = home / "certificate.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(home / "key.pem"), "-out", str(certificate)]
    argv = ["openssl", "req", "-x509", "-days", "2", *key, *names, *files]
    subprocess.run(argv, check=True, capture_output=True)
    return certificate


@contextmanager
def running_imap(log: Path) -> Iterator[ImapServer]:
    """A Dovecot without mail; its state is removed at the end, its log stays."""
    program = _program()
    home = Path(tempfile.mkdtemp(prefix="dct-imap-"))
    try:
        server = ImapServer(free_port(), free_port(), free_port(), certify(home))
        configuration = home / "dovecot.conf"
        configuration.write_text(_configuration(server, home))
        with running("Dovecot", [program, "-F", "-c", configuration], server.port, log):
            yield server
    finally:
        shutil.rmtree(home)


def _configuration(server: ImapServer, home: Path) -> str:
    """Dovecot's settings for whoever runs this; makes the folder for the mail."""
    me = pwd.getpwuid(os.geteuid())
    owner = pwd.getpwnam("nobody") if me.pw_uid == 0 else me
    mail = home / "mail"
    mail.mkdir()
    if me.pw_uid == 0:
        home.chmod(0o711)
        os.chown(mail, owner.pw_uid, owner.pw_gid)
    return CONFIGURATION.format(
        home=home,
        login_user="dovenull" if me.pw_uid == 0 else me.pw_name,
        internal_user="dovecot" if me.pw_uid == 0 else me.pw_name,
        internal_group="dovecot" if me.pw_uid == 0 else grp.getgrgid(os.getegid()).gr_name,
        uid=owner.pw_uid,
        gid=owner.pw_gid,
        password=PASSWORD,
        port=server.port,
        tls_port=server.tls_port,
        lmtp_port=server.lmtp_port,
    )


@pytest.fixture(scope="session")
def imap_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImapServer]:
    """The worker's server."""
    with running_imap(tmp_path_factory.mktemp("imap") / "dovecot.log") as server:
        yield server


@pytest.fixture
def mailbox(imap_server: ImapServer) -> Iterator[Mailbox]:
    """An empty mailbox of this test alone."""
    user = f"u{uuid.uuid4().hex[:12]}@example.com"
    with IMAPClient(imap_server.host, imap_server.port, ssl=False) as client:
        client.login(user, PASSWORD)
        yield Mailbox(imap_server, user, client)
