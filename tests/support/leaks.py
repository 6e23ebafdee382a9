"""Looks for secrets everywhere that we write: the database, files, what was printed and logged.

A secret is found as it is, quoted for a URL, in base64 at any offset, and in hexadecimal digits.
"""

from __future__ import annotations

import base64
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

SCHEMAS = ("dct", "dagster", "public")


def forms(secret: str) -> frozenset[str]:
    """Every way to write it that is looked for."""
    raw = secret.encode()
    found = {secret, quote(secret, safe=""), raw.hex()}
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + raw).decode()
        # The characters at both ends also depend on what stands around.
        found.add(encoded[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6])
    return frozenset(found)


@dataclass
class Search:
    """`secrets` by the name that a finding is told with; `said` is more text to look through."""

    secrets: Mapping[str, str]
    said: dict[str, str] = field(default_factory=dict)

    def found_in(self, where: str, content: str) -> Iterator[str]:
        for name, secret in self.secrets.items():
            for form in forms(secret):
                if (at := content.find(form)) >= 0:
                    yield f"{name} in {where}: {content[max(at - 150, 0) : at + 150]!r}"

    def in_what_was_said(self) -> list[str]:
        return [leak for where, content in self.said.items() for leak in self.found_in(where, content)]

    def in_files(self, *folders: Path, but: tuple[Path, ...] = ()) -> list[str]:
        """Below the folders, their names too; `but` are where the secrets are kept."""
        found: list[str] = []
        for folder in folders:
            for path in folder.rglob("*"):
                if path not in but and path.is_file() and not path.is_symlink():
                    found += self.found_in(str(path), f"{path}\n{path.read_bytes().decode('latin-1')}")
        return found

    def in_database(self, url: str) -> list[str]:
        """Every column of every row of ours and of Dagster's."""
        engine = create_engine(url, poolclass=NullPool)
        found: list[str] = []
        with engine.connect() as connection:
            for schema in SCHEMAS:
                for table in inspect(connection).get_table_names(schema=schema):
                    rows = connection.execute(text(f'SELECT t::text FROM "{schema}"."{table}" AS t'))
                    found += self.found_in(f"{schema}.{table}", "\n".join(row[0] for row in rows))
        return found

    def in_processes(self) -> list[str]:
        """Arguments of every process of this machine that we may see."""
        found: list[str] = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                content = path.read_bytes().decode("latin-1")
            except OSError:
                continue
            if path.parent.name != str(os.getpid()):
                found += self.found_in(str(path), content)
        return found


@contextmanager
def everything_logged() -> Iterator[list[str]]:
    """What any logger says in this process, with its tracebacks."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    root = logging.getLogger()
    kept, level = Keep(), root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(kept)
        root.setLevel(level)
