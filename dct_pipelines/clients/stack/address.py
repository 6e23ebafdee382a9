"""Where the code server of a home listens: a small file that `dct up` writes and everybody else reads."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

ADDRESS_FILE = "code-server.json"


class CodeServerAddress(BaseModel):
    """A loopback port, and the process that listens there."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int
    pid: int


def write_address(home: Path, address: CodeServerAddress) -> None:
    """Replace the file as a whole, so that no reader sees a half."""
    scratch = home / f"{ADDRESS_FILE}.new"
    scratch.write_text(address.model_dump_json(), encoding="utf-8")
    scratch.replace(home / ADDRESS_FILE)


def read_address(home: Path) -> CodeServerAddress | None:
    """The address; None when no `dct up` runs for this home."""
    try:
        return CodeServerAddress.model_validate_json((home / ADDRESS_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def remove_address(home: Path) -> None:
    """Say that nobody listens any more."""
    (home / ADDRESS_FILE).unlink(missing_ok=True)
