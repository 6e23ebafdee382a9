"""Moving references at the repository itself: only from where they are expected, together or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from dct_pipelines.clients.git import history
from dct_pipelines.clients.git.calls import Calls
from dct_pipelines.clients.git.environment import RECEIVE_PACK
from dct_pipelines.clients.git.failures import Refused
from dct_pipelines.clients.git.locations import Location, Transport
from dct_pipelines.domain.errors import ItemTemporarilyUnreadable
from dct_pipelines.domain.git import PushResult, PushStatus, RefUpdate, RepositoryRef

# git-push(1), --porcelain: flag TAB from:to TAB summary, and a reason in brackets when refused.
_LINE = re.compile(r"(?P<flag>[ +\-*=!])\t[^\t]*:(?P<ref>[^\t:]+)\t(?P<summary>[^\t]*)")
_REASON = re.compile(r"\((?P<reason>.*)\)$")
# What a receiver says when somebody else moved the reference first; the last three while both were at it.
_MOVED = (
    "stale info",
    "fetch first",
    "non-fast-forward",
    "needs force",
    "failed to update ref",
    "incorrect old value provided",
    "reference already exists",
)
_CHECKED_OUT = (
    "the branch is checked out in a work tree there; push to a bare repository, "
    "or check out another branch in that work tree"
)


def push(
    calls: Calls, repo: RepositoryRef, location: Location, path: Path, updates: Mapping[str, RefUpdate]
) -> dict[str, PushResult]:
    """One `git push`; `PushStatus` for each reference. A failure without an answer for each is raised."""
    if lacking := history.absent(calls, path, [update.new for update in updates.values() if update.new]):
        raise Refused(f"{lacking[0]} is not in the cache")
    args = ["push", "--porcelain", "--no-verify"]
    if len(updates) > 1:
        args.append("--atomic")
    if location.transport is Transport.FILE:
        args.append(f"--receive-pack={RECEIVE_PACK}")
    args += [f"--force-with-lease={ref}:{update.expected or ''}" for ref, update in updates.items()]
    refspecs = [f"{update.new or ''}:{ref}" for ref, update in updates.items()]
    result = calls.remote(
        repo,
        location,
        *args,
        "--end-of-options",
        location.url,
        *refspecs,
        git_dir=path,
        timeout_seconds=calls.limits.fetch_timeout_seconds,
        readable_failure=b"\n!\t",
    )
    told = _parse(result.stdout.decode("utf-8", "backslashreplace"))
    if missing := updates.keys() - told.keys():
        raise ItemTemporarilyUnreadable(
            f"{location.url} did not say what became of {', '.join(sorted(missing))}; read it again and retry"
        )
    return {ref: told[ref] for ref in updates}


def _parse(output: str) -> dict[str, PushResult]:
    return {
        found["ref"]: _result(found["flag"], found["summary"])
        for line in output.split("\n")
        if (found := _LINE.fullmatch(line))
    }


def _result(flag: str, summary: str) -> PushResult:
    if flag == "=":
        return PushResult(PushStatus.UNCHANGED, "it was already there")
    if flag != "!":
        return PushResult(PushStatus.DONE)
    given = _REASON.search(summary)
    reason = given["reason"] if given else summary
    if reason in _MOVED or "cannot lock ref" in reason:
        return PushResult(PushStatus.STALE, "it moved in the meantime; read it again")
    if "currently checked out" in reason:
        return PushResult(PushStatus.REJECTED, _CHECKED_OUT)
    if reason.startswith("atomic"):
        return PushResult(PushStatus.REJECTED, "another reference of the same push was refused")
    return PushResult(PushStatus.REJECTED, reason)
