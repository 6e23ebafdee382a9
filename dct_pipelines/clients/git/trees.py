"""Files on disk: checkouts for deploys, and working directories with a repository of their own.

Both are drawn up beside their place and moved there at the end, so each is complete or not there at all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from dct_pipelines.clients.descents import opened
from dct_pipelines.clients.git.calls import Calls
from dct_pipelines.clients.git.failures import CacheDamaged, Refused
from dct_pipelines.clients.git.locations import Location
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.git_refs import HEADS, Oid

# Who commits in a working directory when the person or agent there has not said.
_WORKSPACE_NAME = "Dynamic Context Triggers workspace"
_WORKSPACE_EMAIL = "workspace@dct.invalid"
GIT = ".git"


def checkout_to(calls: Calls, path: Path, oid: Oid, directory: Path) -> None:
    """The files of a commit; filters, hooks and submodules of the repository do not run."""
    if directory.exists():
        raise ActionFailed(f"{directory} exists already; choose a directory that does not exist yet")
    with _draft(directory) as draft:
        index = draft.with_name(f"{draft.name}.index")
        try:
            args = (f"--work-tree={draft}", "read-tree", "--reset", "-u", f"{oid}^{{commit}}")
            _at_length(calls, path, *args, env={"GIT_INDEX_FILE": str(index)})
        finally:
            index.unlink(missing_ok=True)


def add_worktree(
    calls: Calls, path: Path, location: Location, branch: str, start: Oid, directory: Path
) -> None:
    """A repository of its own on `branch`, with `origin` set to where it came from.

    What lies in a directory without a repository stays, whatever it is: the files of the commit that are
    missing there come beside it.
    """
    if os.path.lexists(directory / GIT):
        if _branch_of(directory) != branch:
            raise ActionFailed(
                f"{directory} exists already and is not a workspace on {branch!r}; remove it first"
            )
        if not has_repository(directory):
            raise ActionFailed(f"{directory / GIT} is no whole repository; move it away, and try again")
        return
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise ActionFailed(f"{directory} is a link or a file; move it away, a workspace is a directory")
    with _draft(directory, fills=True) as draft:
        git_dir, tree = draft / GIT, f"--work-tree={draft}"
        object_format = "sha1" if len(start) == 40 else "sha256"
        calls.local(git_dir, tree, "init", "-q", "--template=", f"--object-format={object_format}")
        calls.local(
            git_dir, "fetch", "-q", "--no-tags", "--update-shallow", str(path), f"{start}:{HEADS}{branch}"
        )
        calls.local(git_dir, "symbolic-ref", "HEAD", HEADS + branch)
        _at_length(calls, git_dir, tree, "read-tree", "--reset", "-u", "HEAD")
        for name, value in (
            ("remote.origin.url", location.url),
            ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
            ("user.name", _WORKSPACE_NAME),
            ("user.email", _WORKSPACE_EMAIL),
        ):
            calls.local(git_dir, "config", name, value)


def has_repository(directory: Path) -> bool:
    """Whether there is a repository in a working directory; it is looked at, and not asked."""
    head = directory / GIT / "HEAD"
    return head.is_file() and not head.is_symlink() and (directory / GIT / "objects").is_dir()


def collect_worktree(calls: Calls, path: Path, branch: str, directory: Path) -> Oid:
    """Fetch from a working directory: upload-pack runs nothing that its configuration could name.

    It runs as the owner of the directory, so that a link to objects that only we may read leads nowhere.
    """
    kept = "refs/dct/workspaces/" + hashlib.sha256(f"{directory}\0{branch}".encode()).hexdigest()[:40]
    source = ("--end-of-options", str(directory), f"+{HEADS}{branch}:{kept}")
    options = "-q --no-tags --no-write-fetch-head --no-auto-maintenance --update-shallow".split()
    try:
        _at_length(calls, path, "fetch", *options, *_as_owner_of(directory), *source)
    except CacheDamaged as error:
        raise Refused(str(error)) from error  # damage in there must not cost us our own copy
    return Oid(calls.local(path, "rev-parse", "--verify", f"{kept}^{{commit}}").stdout.decode().strip())


def remove(directory: Path) -> None:
    """Everything in it, without following links; half a directory is never left at its place."""
    if not directory.exists():
        return
    trash = directory.with_name(f".{directory.name}.removed-{uuid.uuid4().hex}")
    directory.rename(trash)
    shutil.rmtree(trash)


def _at_length(calls: Calls, git_dir: Path, *args: str, env: Mapping[str, str] | None = None) -> None:
    """What moves the whole content of a repository may take as long as a fetch."""
    calls.local(git_dir, *args, env=env, timeout_seconds=calls.limits.fetch_timeout_seconds)


def _as_owner_of(directory: Path) -> tuple[str, ...]:
    owner, setpriv = directory.stat(), shutil.which("setpriv")
    if os.geteuid() != 0 or owner.st_uid == 0 or setpriv is None:
        return ()
    user = f"--reuid={owner.st_uid} --regid={owner.st_gid} --clear-groups"
    return (f"--upload-pack={setpriv} {user} git upload-pack",)


def _branch_of(directory: Path) -> str | None:
    """Read, not asked: git would obey the configuration in there."""
    head = directory / GIT / "HEAD"
    if head.is_symlink() or not head.is_file():
        return None
    return head.read_text(errors="replace").strip().removeprefix("ref: ").removeprefix(HEADS)


@contextmanager
def _draft(directory: Path, *, fills: bool = False) -> Iterator[Path]:
    """A directory beside `directory` that becomes it at the end; drafts of killed attempts are swept out.

    With `fills`, a directory that is there already takes in what it lacks.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    for left_over in directory.parent.glob(f".{directory.name}.draft-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    draft = directory.with_name(f".{directory.name}.draft-{uuid.uuid4().hex}")
    draft.mkdir()
    try:
        yield draft
        if fills and directory.is_dir():
            _fill(directory, draft)
        else:
            draft.rename(directory)
    finally:
        if draft.exists():
            shutil.rmtree(draft, ignore_errors=True)


def _fill(directory: Path, draft: Path) -> None:
    """Move into a directory what it lacks. The repository comes last: without it, filling begins again."""
    with opened(draft) as source, opened(directory) as target:
        _move_missing(source, target)
        os.rename(GIT, GIT, src_dir_fd=source, dst_dir_fd=target)


def _move_missing(source: int, target: int) -> None:
    """By descriptors, because the directory is a foreign land: no link in it is followed."""
    for name in os.listdir(source):
        if name == GIT:
            continue
        try:
            os.stat(name, dir_fd=target, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
            continue
        with suppress(NotADirectoryError), opened(name, source) as ours, opened(name, target) as theirs:
            _move_missing(ours, theirs)
