"""Socket Mode: Slack's events over WebSockets that we open, so that nobody has to reach us.

slack_sdk speaks the protocol. What it would do by itself and we do not want is replaced: its call for a new
address goes through our guarded and counted client, it looks at no proxy of the environment, and an envelope
is acknowledged only after what it says is stored. What is not acknowledged, Slack sends again; what was
missed while no connection stood is found by the poll that every new connection asks for.
Source: https://docs.slack.dev/apis/events-api/using-socket-mode
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from slack_sdk.errors import SlackClientNotConnectedError
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.clients.slack.web import SlackRefusal, SlackWeb
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.errors import ConnectionDown, CredentialRefused, DctError, Throttled
from dct_pipelines.domain.ports import Clock

CONNECTIONS = 2
"""Slack sends each event to one of them; while it renews one, the other stands."""
CLOSE_SECONDS = 10.0
"""For both to be closed: the library now and then waits for ever for a thread of its own. Less than the 15 s
after which `dct up` kills who has not ended, so that it is said."""
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 300.0
REFUSED_PAUSE_SECONDS = 900.0
PING_SECONDS = 5.0
PORTS = {"wss": 443, "ws": 80}
log = logging.getLogger(__name__)
TakeIn = Callable[[bytes], str]
"""Stores what an envelope says, and tells in words what that was; raises when it could not."""


class SlackSocket:
    """The sockets of one workspace. `endpoint` has the app's token (xapp-...) as its credential.

    `take_in` is called for one event after the other of each socket, `connected` whenever one stands anew,
    `say` with lines for the log.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        take_in: TakeIn,
        connected: Callable[[], None],
        say: Callable[[str], None],
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._web = SlackWeb(endpoint, clock)
        self._take_in = take_in
        self._connected = connected
        self._say = say
        self._close_seconds = close_seconds
        self._rest_until = 0.0
        self._failures = 0
        self._stopping = threading.Event()
        self._sockets: list[_Socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def standing(self) -> int:
        """How many of the sockets are connected."""
        return sum(socket.is_connected() for socket in self._sockets)

    def start(self) -> None:
        """Connect in the background, for as long as it takes."""
        for _ in range(CONNECTIONS):
            socket = _Socket(self._new_address, self._received, self._hello)
            self._sockets.append(socket)
            thread = threading.Thread(target=self._keep, args=(socket,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Finish what is being stored, and end. What was received and not stored stays unacknowledged.

        Returns also when a thread hangs. It is left behind until the process ends, and the log says which.
        """
        self._stopping.set()
        until = time.monotonic() + self._close_seconds
        _join(self._threads, self._close_seconds / 2)
        # Each close waits for its last receive, which takes seconds: all wait together.
        closing = [threading.Thread(target=socket.close, daemon=True) for socket in self._sockets]
        for thread in closing:
            thread.start()
        _join(closing, until - time.monotonic())
        for number, socket in enumerate(self._sockets):
            left = ["what connects it"] if self._threads[number].is_alive() else []
            left += [socket.hanging()] if closing[number].is_alive() else []
            if left:
                log.warning(
                    "%s: socket %d of %d was not closed: %s hangs and is left behind until this process "
                    "ends; what was not acknowledged Slack sends again",
                    self._endpoint.name,
                    number + 1,
                    len(self._sockets),
                    " and ".join(left),
                )

    def _keep(self, socket: _Socket) -> None:
        """Connect whenever the socket does not stand; a first try that fails must not be the last."""
        while not self._stopping.wait(random.uniform(0.1, 0.3)):
            if socket.is_connected() or time.monotonic() < self._rest_until:
                continue
            try:
                socket.connect_to_new_endpoint()
            except (DctError, OSError, SlackClientNotConnectedError) as error:
                log.debug("not connected: %s", error)
            else:
                if not socket.is_connected():
                    self._rest(ConnectionDown("Slack's socket did not open"))

    def _new_address(self) -> str:
        """A new address for a socket. After a failure nobody is asked for a while."""
        if (wait := self._rest_until - time.monotonic()) > 0:
            raise ConnectionDown(f"the next try is in {wait:.0f} s")
        try:
            try:
                url = self._web.call("apps.connections.open").body.get("url")
            except SlackRefusal as error:
                raise CredentialRefused(
                    f"{self._endpoint.name}: Slack opens no socket ({error.error})"
                ) from error
            return self._judged(url)
        except DctError as error:
            self._rest(error)
            raise

    def _judged(self, url: Any) -> str:
        """The address, unless it leads where it may not."""
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is None or parts.scheme not in PORTS or not parts.hostname:
            raise ConnectionDown("Slack gave no address for a socket; it is tried again")
        guard = AddressGuard(allow_private_network=self._endpoint.allow_private_network)
        port = parts.port or PORTS[parts.scheme]
        guard.addresses(parts.hostname, port, encrypted=parts.scheme == "wss")
        return str(url)

    def _rest(self, error: DctError) -> None:
        self._failures += 1
        if isinstance(error, Throttled):
            pause = (error.not_before - self._clock.now()).total_seconds()
        elif isinstance(error, ConnectionDown):
            longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10))
            pause = random.uniform(longest / 2, longest)
        else:
            pause = REFUSED_PAUSE_SECONDS
        self._rest_until = time.monotonic() + max(pause, 0.0)
        if not self._stopping.is_set():
            self._say(f"{self._endpoint.name}: {error}; tried again in {pause:.0f} s")

    def _hello(self) -> None:
        self._failures = 0
        self._say(f"{self._endpoint.name}: connected ({self.standing} of {CONNECTIONS} sockets)")
        try:
            self._connected()
        except DctError as error:
            self._say(f"{self._endpoint.name}: {error}")

    def _received(self, payload: Mapping[str, Any]) -> bool:
        """Whether the event is stored, and may be acknowledged."""
        try:
            said = self._take_in(json.dumps(payload).encode())
        except Exception as error:  # noqa: BLE001 - a fault in storing one event must not end the socket
            self._say(f"{self._endpoint.name}: an event could not be stored, Slack sends it again: {error}")
            return False
        log.debug("%s: %s", self._endpoint.name, said)
        return True


class _Socket(SocketModeClient):
    """slack_sdk's client with our address, one worker (events keep their order), and no proxy."""

    def __init__(
        self,
        new_address: Callable[[], str],
        received: Callable[[Mapping[str, Any]], bool],
        hello: Callable[[], None],
    ) -> None:
        super().__init__(app_token="", logger=_sdk_log(), ping_interval=PING_SECONDS, concurrency=1)
        self.proxy = None
        self._new_address = new_address
        self._received = received
        self._hello = hello
        self.message_listeners.append(self._on_any)
        self.socket_mode_request_listeners.append(self._on_request)

    def hanging(self) -> str:
        """What its close waits for, in the order in which the library ends its threads."""
        threads = {
            "the thread that receives": self.current_session_runner,
            "the thread that looks after the connection": self.current_app_monitor,
            "the thread that reads messages": self.message_processor,
        }
        return next(
            (name for name, thread in threads.items() if thread.is_alive()),
            "the thread that stores an event",
        )

    def issue_new_wss_url(self) -> str:
        return self._new_address()

    def _on_any(self, _client: BaseSocketModeClient, message: dict[str, Any], _raw: str | None) -> None:
        if message.get("type") == "hello":
            self._hello()

    def _on_request(self, _client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        if request.type == "events_api" and not self._received(request.payload):
            return
        try:
            self.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        except SlackClientNotConnectedError:
            log.debug("the socket closed before %s was acknowledged; it comes again", request.envelope_id)


def _join(threads: Sequence[threading.Thread], seconds: float) -> None:
    """Wait for all of them, for so long together."""
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def _sdk_log() -> logging.Logger:
    """What slack_sdk says names addresses that hold tickets: nothing of it is kept."""
    quiet = logging.getLogger("slack_sdk.socket_mode")
    quiet.setLevel(logging.CRITICAL)
    return quiet
