"""Small file systems that a test can fill up; only who may mount has them (see `may_mount`)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_MAY_ADMINISTRATE = 1 << 21  # CAP_SYS_ADMIN, capabilities(7)
_PIECES = (1024 * 1024, 4096, 1)


def may_mount() -> bool:
    """Whether this process may mount a file system."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return any(line.startswith("CapEff:") and int(line.split()[1], 16) & _MAY_ADMINISTRATE for line in lines)


@dataclass
class SmallDisk:
    """A file system in memory, mounted at `path`."""

    path: Path

    @property
    def _filler(self) -> Path:
        return self.path / ".filler"

    def fill(self) -> None:
        """Use up every byte that is left."""
        with self._filler.open("ab", buffering=0) as file:
            for piece in _PIECES:
                with suppress(OSError):
                    while True:
                        file.write(b"x" * piece)

    def free(self) -> None:
        """Make room again."""
        self._filler.unlink()


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A disk of that size at `path`, gone at the end."""
    path.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m,mode=0711"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "dct-test", str(path)], check=True)
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
