"""A mailbox as its listener reads it: STATUS first, then EXAMINE, sizes, and the beginnings of mails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.clients.http import HttpClient
from dct_pipelines.clients.imap.fetching import fetched_mails
from dct_pipelines.clients.imap.folders import examine, headers_by_id, rows_from, state_of
from dct_pipelines.clients.imap.session import MailServer, Session
from dct_pipelines.clients.oauth import AccessTokens, TokenRequest
from dct_pipelines.domain.connected import Endpoint, Finding
from dct_pipelines.domain.errors import ConnectionDown, CredentialRefused, ItemUnreadable
from dct_pipelines.domain.mail.port import FetchedMail, FolderState, MailRow, Unfetchable
from dct_pipelines.domain.mail.rules import INBOX, MailConnection
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.words import ItemKind

BUCKET = "imap"
T = TypeVar("T")


class ImapClient:
    """One account. The session is kept between reads and opened anew when it has ended meanwhile."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._config = MailConnection.model_validate(endpoint.config)
        self._server = MailServer.of_base(
            endpoint.base, starttls=self._config.starttls, ca_file=self._config.ca_file
        )
        self._guard = AddressGuard(allow_private_network=endpoint.allow_private_network)
        self._tokens = self._token_source(clock)
        self._lock = threading.Lock()
        self._session: Session | None = None

    # ------------------------------------------------------------ MailPort

    def state(self, folder: str) -> FolderState:
        """The folder's numbers, by one STATUS."""
        return self._do(lambda session: state_of(session, folder))

    def rows(
        self, folder: str, uid_validity: int, first_uid: int, since: datetime | None
    ) -> Sequence[MailRow]:
        """The first page of mails from `first_uid` on."""

        rows = self._do(lambda session: rows_from(session, folder, uid_validity, first_uid, since))
        return rows if since is None else [row for row in rows if row.received_at >= since]

    def fetch(
        self, folder: str, uid_validity: int, rows: Sequence[MailRow]
    ) -> Sequence[FetchedMail | Unfetchable]:
        """The beginnings of these mails."""

        def ask(session: Session) -> Sequence[FetchedMail | Unfetchable]:
            examine(session, folder, uid_validity)
            return fetched_mails(session, rows)

        return self._do(ask)

    def headers_of(self, folder: str, message_id: str) -> bytes | None:
        """The raw header block of the first mail with that Message-ID."""

        return self._do(lambda session: headers_by_id(session, folder, message_id))

    # ------------------------------------------------------------ ConnectionPort

    def check(self) -> tuple[Finding, ...]:
        """Log in anew and look around."""
        with self._lock:
            self._end()
        numbers = self.state(INBOX)

        def ask(session: Session) -> tuple[list[str], int]:
            with session.call() as client:
                known = {name.decode("ascii", "replace").upper() for name in client.capabilities()}
                return sorted(known), len(client.list_folders())

        known, folders = self._do(ask)
        wanted = [name for name in ("CONDSTORE", "UIDPLUS") if name in known]
        config = self._config
        vouching = config.authserv_id or "none: no sender is authenticated, mails start notifications only"
        security = {"tls": "TLS", "starttls": "STARTTLS", "none": "none, in a private network"}
        return (
            Finding("account", True, f"{config.username} at {self._server}"),
            Finding("encryption", True, security[self._server.security]),
            Finding("server", True, f"knows {', '.join(wanted) or 'no extension that helps'}"),
            Finding("permissions", True, f"{folders} folders; {INBOX} has {numbers.messages} mails"),
            Finding("authserv_id", True, vouching),
        )

    def look(self, kind: ItemKind, location: str, config: Mapping[str, Any]) -> str:
        """How many mails a folder has, or whether a thread's mail is there."""
        folder = str((location if kind is ItemKind.MAILBOX else config.get("folder")) or INBOX)
        messages = self.state(folder).messages
        if kind is ItemKind.MAILBOX:
            return f"{messages} mails in {folder}"
        is_there = self.headers_of(folder, location.strip().strip("<>")) is not None
        found = "is in" if is_there else "is not in"
        return f"that mail {found} {folder}, which has {messages}; answers to it are seen"

    # ------------------------------------------------------------ sessions

    def _do(self, ask: Callable[[Session], T]) -> T:
        """One exchange. A kept session may have ended since: then once more, on a new one."""
        self._endpoint.budget.take(BUCKET)
        with self._lock:
            is_kept = self._session is not None
            try:
                return ask(self._opened())
            except ConnectionDown:
                self._end()
                if not is_kept:
                    raise
            except ItemUnreadable:
                raise
            except BaseException:
                self._end()
                raise
            try:
                return ask(self._opened())
            except BaseException:
                self._end()
                raise

    def _opened(self) -> Session:
        if self._session is None:
            self._session = self._log_in()
        return self._session

    def _end(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None

    def _log_in(self) -> Session:
        """A refused credential is read anew once: it may have been renewed since."""
        try:
            return Session(self._server, self._guard, self._with_credential)
        except CredentialRefused:
            if self._tokens is not None:
                self._tokens.forget()
            self._endpoint.renew()
        return Session(self._server, self._guard, self._with_credential)

    def _with_credential(self, client: Any) -> None:
        if self._endpoint.credential is None:
            raise CredentialRefused(f"{self._endpoint.name} names no credential; add one to its manifest")
        secret, user = self._endpoint.credential(), self._config.username
        if any(character < " " or character == "\x7f" for character in secret + user):
            raise CredentialRefused(
                f"the credential or username of {self._endpoint.name} holds a line break or control character"
            )
        client.hidden.add(secret)
        if self._config.auth == "xoauth2":
            token = secret if self._tokens is None else self._tokens.token(secret)
            client.hidden.add(token)
            client.oauth2_login(user, token)
        elif client.has_capability("AUTH=PLAIN"):
            client.plain_login(user, secret)
        elif secret.isascii() and user.isascii():
            client.login(user, secret)
        else:
            raise CredentialRefused(f"{self._server} takes no login with other characters than ASCII")

    def _token_source(self, clock: Clock) -> AccessTokens | None:
        config = self._config
        if config.token_url is None or config.client_id is None:
            return None
        request = TokenRequest(config.token_url, config.client_id, config.scope)
        return AccessTokens(request, HttpClient(self._guard), clock)
