"""Keeps commands apart from us: by bwrap where it works, by another user when we are root, else not at all.

Files that an isolated command must write are made its own before it starts, but only below our own home
directory: what an operator has elsewhere keeps its owner. A root-owned file with several links is left
alone too: it may be a link that an earlier command made to something that is not its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dct_pipelines.domain.process import IsolationLevel, IsolationMode, IsolationStatus

UNPRIVILEGED_USER = "nobody"
_PROBE_TIMEOUT_SECONDS = 10
# bwrap(1): the machine read-only, fresh /proc and /dev, own process namespace, no way to our terminal.
_BWRAP = (
    "--die-with-parent --new-session --unshare-pid --unshare-ipc --unshare-uts"
    " --ro-bind / / --proc /proc --dev /dev"
).split()


@dataclass(frozen=True, slots=True)
class Person:
    """The user that isolated commands run as, when it is not us."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Isolation:
    """How commands are started here; made by `choose`, the same for the whole life of the process."""

    status: IsolationStatus
    home: Path
    person: Person | None = None
    bwrap: str | None = None
    hidden: tuple[Path, ...] = ()

    def wrap(self, argv: Sequence[str], cwd: Path, writable: Sequence[Path], temporary: Path) -> list[str]:
        """The argument list that starts `argv` isolated; `temporary` takes the place of /tmp."""
        if not self.bwrap:
            return list(argv)
        masks = ["--bind", str(temporary), "/tmp"]  # noqa: S108 (the command's own, not ours)
        for path in self.hidden:
            if path.is_dir():
                masks += ["--tmpfs", str(path)]
            elif path.exists():
                masks += ["--ro-bind", "/dev/null", str(path)]
        binds = [word for path in (*writable, temporary) for word in ("--bind", str(path), str(path))]
        return [self.bwrap, *_BWRAP, *masks, *binds, "--chdir", str(cwd), "--", *argv]

    def open_path(self, path: str) -> str:
        """PATH without the directories that the other user may not enter (root's own tools, for one)."""
        return os.pathsep.join(
            name for name in path.split(os.pathsep) if not self.barrier(Path(name).resolve())
        )

    def barrier(self, path: Path) -> Path | None:
        """The first step on the way to `path` that the other user may not take."""
        return _closed_to(self.person, path) if self.person else None

    def hand_over(self, directories: Sequence[Path]) -> None:
        """Make what lies below our home writable for the other user."""
        if self.person is None:
            return
        for directory in directories:
            if self.home in directory.parents:
                _chown_tree(directory, self.person)


def choose(
    mode: IsolationMode, home: Path, hidden: Sequence[Path], bwrap: str | None, user: str
) -> Isolation:
    """The strongest level that works on this machine, found by trying; says why it is not a stronger one."""
    home = home.resolve()
    if mode is IsolationMode.NONE:
        return _unisolated(home, "switched off (DCT_ISOLATION=none)")
    person = None
    if os.geteuid() == 0:
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            return _unisolated(home, f"this machine has no user {user!r} that commands could run as")
        person = Person(user, entry.pw_uid, entry.pw_gid)
        if closed := _closed_to(person, home):
            advice = f"let others enter it (chmod o+x) or set DCT_HOME elsewhere; '{user}' runs the commands"
            return _unisolated(home, f"the user {user!r} cannot enter {closed}: {advice}")
    found = tuple(path.resolve() for path in hidden)
    tool = shutil.which("bwrap") if bwrap is None else bwrap
    if tool and _bwrap_works(tool, person):
        who = f" as user {person.name!r}" if person else ""
        words = f"commands run in bwrap{who}: read-only machine, own process namespace, our secrets masked"
        status = IsolationStatus(level=IsolationLevel.BWRAP, explanation=words)
        return Isolation(status, home, person, tool, found)
    why = "bwrap does not work here" if tool else "bwrap is not installed"
    if person is None:
        return _unisolated(home, f"{why} and we are not root; install bubblewrap")
    words = f"commands run as user {person.name!r} ({why}, which would be stronger)"
    readable = tuple(
        f"{path} can be read by every user, so also by commands: chmod o-rwx it"
        for path in found
        if path.exists() and not _closed_to(person, path)
    )
    return Isolation(
        IsolationStatus(level=IsolationLevel.USER, explanation=words, warnings=readable), home, person
    )


def _unisolated(home: Path, why: str) -> Isolation:
    warning = "commands of environments, suites and agents can read everything that we can, secrets included"
    status = IsolationStatus(
        level=IsolationLevel.NONE, explanation=f"commands are not isolated: {why}", warnings=(warning,)
    )
    return Isolation(status, home)


def _bwrap_works(tool: str, person: Person | None) -> bool:
    try:
        tried = subprocess.run(
            [tool, *_BWRAP, "--", "/bin/true"],
            user=person.uid if person else None,
            group=person.gid if person else None,
            extra_groups=[] if person else None,
            capture_output=True,
            timeout=_PROBE_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return tried.returncode == 0


def _closed_to(person: Person, path: Path) -> Path | None:
    """The first directory on the way that the user may not enter, or the path itself if it is unreadable."""
    for step in [*reversed(path.parents), path]:
        if not step.exists():
            return None
        needed = stat.S_IROTH if step == path and not step.is_dir() else stat.S_IXOTH
        if not _may(person, step.stat(), needed):
            return step
    return None


def _may(person: Person, found: os.stat_result, needed_of_others: int) -> bool:
    if found.st_uid == person.uid:
        return bool(found.st_mode & (needed_of_others << 6))
    if found.st_gid == person.gid:
        return bool(found.st_mode & (needed_of_others << 3))
    return bool(found.st_mode & needed_of_others)


def _chown_tree(top: Path, person: Person) -> None:
    """Give a tree to the user, by directory descriptors and without following links."""
    ours = os.geteuid()
    for _, directories, files, at in os.fwalk(top, follow_symlinks=False):
        for name in [*directories, *files, "."]:
            found = os.stat(name, dir_fd=at, follow_symlinks=False)
            shared = stat.S_ISREG(found.st_mode) and found.st_nlink > 1
            if found.st_uid == ours and not shared:
                os.chown(name, person.uid, person.gid, dir_fd=at, follow_symlinks=False)
