"""Merges without a work tree: `merge-tree` previews, `commit-tree` writes. Nothing of the repository runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dct_pipelines.clients.git import history
from dct_pipelines.clients.git.calls import Calls
from dct_pipelines.clients.git.failures import explain_local, words
from dct_pipelines.domain.git import AheadBehind, Assessment, MergePreview, Signature
from dct_pipelines.domain.git_refs import Oid

_OID = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_UNRELATED = "refusing to merge unrelated histories"


def preview(calls: Calls, path: Path, target: Oid, source: Oid) -> MergePreview:
    """`git merge-tree --write-tree`.

    Exit code 1 means a conflict *or* a missing object (git 2.39): only an object id in the first record
    tells which. A conflict may name no file (a directory renamed on both sides), and stays one.
    """
    args = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", target, source)
    result = calls.local(path, *args, accepted=(0, 1, 128))
    tree, *names = result.stdout.split(b"\0")
    known = _OID.fullmatch(tree) is not None
    if result.exit_code == 0 and known:
        return MergePreview(clean=True, tree=Oid(tree.decode()))
    if result.exit_code == 1 and known:
        files = tuple(dict.fromkeys(name.decode("utf-8", "backslashreplace") for name in names if name))
        return MergePreview(clean=False, conflicts=files, explanation=_explain(files))
    said = words(result)
    if _UNRELATED in said:
        return MergePreview(clean=False, explanation="the two have no commit in common")
    raise explain_local(said, path.parent)


def assess(calls: Calls, path: Path, target: Oid, heads: Sequence[Oid]) -> tuple[Assessment, ...]:
    """Count and merge each head once; where one side contains the other there is nothing to merge."""
    counts = {head: history.ahead_behind(calls, path, target, head) for head in dict.fromkeys(heads)}
    plain = [head for head, count in counts.items() if not (count.ahead and count.behind)]
    of_plain = dict(zip(plain, _trees_of_plain(calls, path, target, plain, counts), strict=True))
    found = {
        head: Assessment(
            head,
            target,
            count,
            MergePreview(clean=True, tree=of_plain[head])
            if head in of_plain
            else preview(calls, path, target, head),
        )
        for head, count in counts.items()
    }
    return tuple(found[head] for head in heads)


def _trees_of_plain(
    calls: Calls, path: Path, target: Oid, heads: Sequence[Oid], counts: Mapping[Oid, AheadBehind]
) -> list[Oid]:
    if not heads:
        return []
    return history.trees(calls, path, [head if counts[head].ahead else target for head in heads])


def commit(
    calls: Calls,
    path: Path,
    tree: Oid,
    parents: Sequence[Oid],
    message: str,
    author: Signature,
    trailers: Mapping[str, str],
) -> Oid:
    """Everything that goes into the commit is given, so equal arguments give an equal id."""
    when = f"@{int(author.at.timestamp())} +0000"
    env = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", author.name), ("EMAIL", author.email), ("DATE", when))
    }
    args = [word for parent in parents for word in ("-p", parent)]
    text = _with_trailers(message, trailers).encode("utf-8", "backslashreplace")
    result = calls.local(path, "commit-tree", tree, *args, "-F", "-", stdin=text, env=env)
    return Oid(result.stdout.decode().strip())


def _with_trailers(message: str, trailers: Mapping[str, str]) -> str:
    lines = [f"{name}: {' '.join(value.split())}" for name, value in trailers.items()]
    text = message.replace("\0", " ").rstrip()
    return "\n".join([text, "", *lines]) + "\n" if lines else text + "\n"


def _explain(files: Sequence[str]) -> str:
    if not files:
        return "both sides changed the same things in ways that cannot be joined"
    return (
        f"both sides changed {len(files)} file{'s' if len(files) > 1 else ''} in ways that cannot be joined"
    )
