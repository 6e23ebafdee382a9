"""Object ids, reference names, and the snapshot of all references of a repository at one moment.

Names from a repository are data: any byte that git allows may stand in them (`--upload-pack=x` and `$(id)`
are valid branches), so a name is checked here once, always used in full (`refs/heads/...`), and every
question after the first is asked with an object id.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NewType

from dct_pipelines.domain.errors import InvalidInput

HEADS = "refs/heads/"
TAGS = "refs/tags/"

Oid = NewType("Oid", str)
"""An object id: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits."""

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# git-check-ref-format(1), rules 1-10, for a name in full.
_BAD_IN_NAME = re.compile(r"\.\.|@\{|//|/\.|[\x00-\x20\x7f~^:?*\[\\]|\.lock(?=/|$)")
_LONGEST_NAME_BYTES = 1024


def as_oid(text: str) -> Oid:
    """Check an object id; abbreviations and names are refused (`InvalidInput`)."""
    if not _OID.fullmatch(text):
        raise InvalidInput(f"{text[:80]!r} is not a full object id; give all 40 (or 64) hexadecimal digits")
    return Oid(text)


def name_fault(name: str) -> str | None:
    """Why `name` is not the full name of a reference (`refs/...`), or None when it is one."""
    if not name.startswith("refs/"):
        return "it does not start with refs/"
    if name.endswith(("/", ".")):
        return f"it ends with {name[-1]!r}"
    if found := _BAD_IN_NAME.search(name):
        return f"it contains {found[0]!r}"
    if len(name.encode("utf-8", "surrogateescape")) > _LONGEST_NAME_BYTES:
        return f"it is longer than {_LONGEST_NAME_BYTES} bytes"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "it is not UTF-8"
    return None


def branch_ref(branch: str) -> str:
    """The full name of a branch given by its short name (`InvalidInput` when git would refuse it)."""
    if branch == "HEAD" or branch.startswith("-"):
        raise InvalidInput(f"{branch!r} cannot be the name of a branch; choose another one")
    return checked_ref(HEADS + branch)


def checked_ref(name: str) -> str:
    """`name` itself when it is a valid full reference name, else `InvalidInput` that says why not."""
    if fault := name_fault(name):
        raise InvalidInput(f"{name[:200]!r} is not a valid reference name: {fault}")
    return name


@dataclass(frozen=True, slots=True)
class RejectedRef:
    """A reference that is there but cannot be used, and why; shown, never dropped in silence."""

    name: str
    reason: str


class RefSnapshot:
    """All branches and tags of a repository at one moment: the answer of one `git ls-remote --symref`.

    Parsed only when looked into: an unchanged repository costs one hash (`digest`), whatever its size.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole answer; equal digests mean equal references."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def branches(self) -> Mapping[str, Oid]:
        """Short branch name to its head."""
        return self._parsed.branches

    @property
    def tags(self) -> Mapping[str, Oid]:
        """Short tag name to the commit it stands for: annotated tags are peeled."""
        return self._parsed.tags

    @property
    def default_branch(self) -> str | None:
        """The branch that HEAD names; None when HEAD is detached, or names a branch without a commit."""
        return self._parsed.default_branch

    @property
    def rejected(self) -> Sequence[RejectedRef]:
        """References that cannot be used, with the reason."""
        return self._parsed.rejected

    @property
    def is_empty(self) -> bool:
        """Whether the repository answered and has no branch and no tag."""
        return not (self.branches or self.tags or self.rejected)

    @cached_property
    def _parsed(self) -> _Parsed:
        return _parse(self.raw)


@dataclass(slots=True)
class _Parsed:
    branches: dict[str, Oid] = field(default_factory=dict)
    tags: dict[str, Oid] = field(default_factory=dict)
    rejected: list[RejectedRef] = field(default_factory=list)
    default_branch: str | None = None


def _parse(raw: bytes) -> _Parsed:
    """Lines `<oid> TAB <name>`, `ref: <target> TAB HEAD`; `<name>^{}` is what an annotated tag stands for."""
    parsed = _Parsed()
    head = ""
    for line in raw.decode("utf-8", "surrogateescape").split("\n"):
        left, tab, name = line.partition("\t")
        if not tab:
            continue
        if left.startswith("ref: ") and name == "HEAD":
            head = left[len("ref: ") :]
        elif name.startswith((HEADS, TAGS)):
            _add(parsed, name, left)
    if head.startswith(HEADS) and head[len(HEADS) :] in parsed.branches:
        parsed.default_branch = head[len(HEADS) :]
    return parsed


def _add(parsed: _Parsed, name: str, oid: str) -> None:
    name = name.removesuffix("^{}")
    if fault := name_fault(name) or _oid_fault(oid):
        parsed.rejected.append(RejectedRef(_printable(name), fault))
    elif name.startswith(HEADS):
        parsed.branches[name[len(HEADS) :]] = Oid(oid)
    else:
        parsed.tags[name[len(TAGS) :]] = Oid(oid)


def _oid_fault(oid: str) -> str | None:
    """git lists a reference that it cannot read with an id of zeros."""
    if not oid.strip("0"):
        return "it is broken: it points to nothing"
    return None if _OID.fullmatch(oid) else "its object id is malformed"


def _printable(name: str) -> str:
    """Bytes that are not UTF-8 as `\\xff`, so that any name can be stored and shown."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
