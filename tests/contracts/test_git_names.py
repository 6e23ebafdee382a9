"""Names of references: our rules and git's are the same rules."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.domain.git_refs import HEADS, RefSnapshot, as_oid, branch_ref, name_fault

_OID = "0123456789abcdef0123456789abcdef01234567"
# Text made of what the rules are about, so that few examples meet all of them.
_PIECES = st.sampled_from(
    [*"a-@{}/.~^:?*[\\ \t;$()", "..", "@{", ".lock", "//", "/.", "é", "日", "\x7f", "refs/heads/"]
)


@settings(max_examples=150)
@given(st.lists(_PIECES, min_size=1, max_size=6).map("".join))
@example("a.lock/b")
@example("a.lockb")
@example("@")
@example(".a")
def test_a_name_is_refused_exactly_when_git_refuses_it(name: str) -> None:
    said = subprocess.run(["git", "check-ref-format", HEADS + name], check=False)
    assert (name_fault(HEADS + name) is None) == (said.returncode == 0)


@given(st.binary(max_size=300))
def test_no_answer_of_a_server_breaks_a_snapshot(raw: bytes) -> None:
    seen = RefSnapshot(raw)
    assert len(seen.digest) == 64
    for rejected in seen.rejected:
        rejected.name.encode()
    for name, oid in {**seen.branches, **seen.tags}.items():
        assert as_oid(oid)
        name.encode()


@given(st.binary(min_size=1, max_size=20).filter(lambda name: not set(name) & set(b"\n\t")))
def test_every_line_is_a_branch_or_is_rejected_with_a_reason(name: bytes) -> None:
    seen = RefSnapshot(f"{_OID}\t{HEADS}".encode() + name + b"\n")
    assert len(seen.branches) + len(seen.rejected) == 1
    assert not seen.is_empty


def test_a_reference_that_git_lists_with_zeros_is_broken_and_not_gone() -> None:
    seen = RefSnapshot(f"{'0' * 40}\t{HEADS}torn\n".encode())
    assert (seen.branches, seen.is_empty) == ({}, False)
    assert seen.rejected[0].reason == "it is broken: it points to nothing"


@pytest.mark.parametrize("branch", ["HEAD", "-x", "--upload-pack=x", "", "a b", "a/", "a.lock"])
def test_we_make_no_branch_that_git_would_not_make(branch: str) -> None:
    with pytest.raises(InvalidInput):
        branch_ref(branch)


@pytest.mark.parametrize("text", ["", "main", _OID[:39], _OID + "0", _OID.upper(), _OID + "\n", f"^{_OID}"])
def test_only_a_whole_object_id_is_one(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a full object id"):
        as_oid(text)
