"""Secrets by reference: `env:NAME`, `file:/path` and `command:...`, read at each use.

A renewed variable or file counts at once, what a command prints after a minute or when the old was refused.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from dct_pipelines.clients.secret_commands import CommandSecrets
from dct_pipelines.domain.errors import CredentialRefused
from dct_pipelines.domain.process import ProcessPort

_LARGEST_BYTES = 64 * 1024
_log = logging.getLogger(__name__)


class ReferenceSecrets:
    """Reads secrets; `variables` gives the environment (with `.env`), asked at each use."""

    def __init__(self, variables: Callable[[], Mapping[str, str]], processes: ProcessPort) -> None:
        self._variables = variables
        self._commands = CommandSecrets(processes, variables)
        self._warned: set[Path] = set()

    def read(self, reference: str) -> str:
        """The secret, without a newline at its end; `CredentialRefused` names the reference only."""
        scheme, _, name = reference.partition(":")
        if scheme == "env":
            value = self._variables().get(name, "")
        elif scheme == "file":
            value = self._file(Path(name), reference)
        elif scheme == "command":
            value = self._commands.read(name)
        else:
            raise CredentialRefused(
                "a secret is named as env:NAME, file:/path or command:...; correct the reference"
            )
        if not value:
            raise CredentialRefused(f"{reference} holds no secret; set it, or correct the reference")
        return value

    def forget(self, reference: str) -> None:
        """Run its command at the next read. What the environment and files say is never remembered."""
        scheme, _, name = reference.partition(":")
        if scheme == "command":
            self._commands.forget(name)

    def _file(self, path: Path, reference: str) -> str:
        try:
            with path.open("rb") as file:
                mode = path.stat().st_mode
                content = file.read(_LARGEST_BYTES + 1)
            text = content.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise CredentialRefused(
                f"{reference} cannot be read ({why}); check the path and its owner"
            ) from None
        if len(content) > _LARGEST_BYTES:
            raise CredentialRefused(f"{reference} is larger than {_LARGEST_BYTES} bytes; it is no secret")
        if mode & (stat.S_IRWXG | stat.S_IRWXO) and path not in self._warned:
            self._warned.add(path)
            _log.warning("%s can be read by others on this machine; run: chmod 600 %s", reference, path)
        return text.rstrip("\r\n")
