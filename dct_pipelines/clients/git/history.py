"""Questions about commits that are in the cache. All names are object ids here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from dct_pipelines.clients.git.calls import Calls
from dct_pipelines.clients.git.failures import CacheDamaged
from dct_pipelines.domain.git import AheadBehind, Commit, CommitRange
from dct_pipelines.domain.git_refs import Oid

_LONGEST_SUBJECT = 2000
_LONGEST_BODY = 10_000
_FIELDS = ("%H", "%P", "%an", "%ae", "%at", "%ct", "%s", "%b")
# For a range with a message of many megabytes: everything but what people wrote at length.
_SHORT_FIELDS = ("%H", "%P", "", "", "%at", "%ct", "", "")
_MOST_BYTES_OF_MESSAGES = 32 * 1024 * 1024
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)


def absent(calls: Calls, path: Path, oids: Iterable[Oid]) -> list[Oid]:
    """Those that are not in the cache, by one call."""
    asked = list(dict.fromkeys(oids))
    if not asked:
        return []
    names = "".join(f"{oid}\n" for oid in asked).encode()
    answer = calls.local(path, "cat-file", "--batch-check=%(objecttype)", "--buffer", stdin=names).stdout
    lines = answer.decode("ascii", "replace").splitlines()
    if len(lines) != len(asked):
        raise CacheDamaged("git cat-file did not answer for every object")
    return [oid for oid, line in zip(asked, lines, strict=True) if line.endswith("missing")]


def trees(calls: Calls, path: Path, commits: Sequence[Oid]) -> list[Oid]:
    """The tree of each commit, by one call."""
    names = "".join(f"{oid}^{{tree}}\n" for oid in commits).encode()
    answer = calls.local(path, "cat-file", "--batch-check=%(objectname)", "--buffer", stdin=names).stdout
    found = answer.decode("ascii", "replace").splitlines()
    if len(found) != len(commits) or any(" " in line for line in found):
        raise CacheDamaged("a commit has no readable tree")
    return [Oid(line) for line in found]


def commits_between(calls: Calls, path: Path, old: Oid | None, new: Oid, limit: int) -> CommitRange:
    """Newest first, one more than `limit` is asked for to know whether there are more."""
    for fields in (_FIELDS, _SHORT_FIELDS):
        wanted = [new, *([f"^{old}"] if old else [])]
        layout = "--format=tformat:" + "%x00".join(fields)
        result = calls.local(path, "log", "-z", layout, f"-n{limit + 1}", *wanted, "--")
        if len(result.stdout) <= _MOST_BYTES_OF_MESSAGES:
            break
    parts = result.stdout.decode("utf-8", "replace").split("\0")
    size = len(_FIELDS)
    commits = tuple(_commit(parts[at : at + size]) for at in range(0, len(parts) - size + 1, size))
    return CommitRange(commits[:limit], truncated=len(commits) > limit)


def is_ancestor(calls: Calls, path: Path, ancestor: Oid, descendant: Oid) -> bool:
    """By exit code: 0 yes, 1 no."""
    args = ("merge-base", "--is-ancestor", ancestor, descendant)
    return calls.local(path, *args, accepted=(0, 1)).exit_code == 0


def ahead_behind(calls: Calls, path: Path, target: Oid, head: Oid) -> AheadBehind:
    """The symmetric difference, counted by side."""
    answer = calls.local(path, "rev-list", "--left-right", "--count", f"{target}...{head}", "--").stdout
    behind, ahead = answer.split()
    return AheadBehind(int(ahead), int(behind))


def _commit(parts: Sequence[str]) -> Commit:
    oid, parents, name, email, authored, committed, subject, body = parts
    return Commit(
        oid=Oid(oid),
        parents=tuple(Oid(parent) for parent in parents.split()),
        author_name=name,
        author_email=email,
        authored_at=_moment(authored),
        committed_at=_moment(committed),
        subject=subject[:_LONGEST_SUBJECT],
        body=body.strip()[:_LONGEST_BODY],
    )


def _moment(seconds: str) -> datetime:
    """Dates in commits are free text too; what cannot be a date becomes the nearest one that can."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return _LATEST
