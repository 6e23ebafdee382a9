"""Secrets that a command prints: `command:pass show jira`, e.g. of a password manager or a vault.

An operator names the command, as a deployer's; it is an argument list, and no shell reads it. What it prints
is remembered for a minute, since such tools ask a server each time, and forgotten once it was refused.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dct_pipelines.domain.errors import ConnectionDown, CredentialRefused, ProcessFailed
from dct_pipelines.domain.process import Command, ProcessPort

TIMEOUT_SECONDS = 10.0
REMEMBERED_SECONDS = 60.0
_LARGEST_BYTES = 64 * 1024
_PASSED_ON = (
    "HOME USER LOGNAME TMPDIR XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS "
    "SSH_AUTH_SOCK GNUPGHOME PASSWORD_STORE_DIR VAULT_ADDR VAULT_NAMESPACE VAULT_CACERT "
    "AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE "
    "CLOUDSDK_CONFIG AZURE_CONFIG_DIR OP_ACCOUNT BWS_SERVER_URL"
).split()
"""Where these tools find their own sign-in. No other variable of ours reaches them."""


@dataclass
class CommandSecrets:
    """Runs the commands; `variables` gives the environment, asked at each run."""

    processes: ProcessPort
    variables: Callable[[], Mapping[str, str]]
    elapsed: Callable[[], float] = time.monotonic
    _known: dict[str, tuple[float, str]] = field(default_factory=dict, repr=False)

    def read(self, line: str) -> str:
        """What the command printed, without the white space around it. Errors name the command only."""
        known = self._known.get(line)
        if known is not None and self.elapsed() < known[0] + REMEMBERED_SECONDS:
            return known[1]
        secret = self._run(line)
        self._known[line] = (self.elapsed(), secret)
        return secret

    def forget(self, line: str) -> None:
        """Run the command at the next read."""
        self._known.pop(line, None)

    def _run(self, line: str) -> str:
        reference = f"command:{line}"
        try:
            argv = tuple(shlex.split(line))
        except ValueError as error:
            raise CredentialRefused(f"{reference} is no command ({error}); correct its quotes") from None
        if not argv:
            raise CredentialRefused("command: names no command; write command:PROGRAM ARGUMENTS")
        variables = self.variables()
        passed_on = {name: variables[name] for name in _PASSED_ON if name in variables}
        try:
            result = self.processes.run(
                Command(
                    argv=argv,
                    env=passed_on,
                    timeout_seconds=TIMEOUT_SECONDS,
                    output_limit_bytes=_LARGEST_BYTES,
                    trusted=True,
                )
            )
        except ProcessFailed as error:
            raise CredentialRefused(f"{reference}: {error}") from None
        if result.timed_out:
            raise ConnectionDown(f"{reference} took longer than {TIMEOUT_SECONDS:g} s; it is tried again")
        if not result.succeeded:
            why = f"ended with exit code {result.exit_code}"
            raise CredentialRefused(f"{reference} {why}; run it yourself to see what it says")
        if result.stdout_truncated:
            raise CredentialRefused(f"{reference} printed more than {_LARGEST_BYTES} bytes; it is no secret")
        try:
            return result.stdout.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise CredentialRefused(f"{reference} printed what is not UTF-8 text") from None
