"""Which branches have to be compared with which targets, and after how long a quiet time again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from dct_pipelines.domain.condition import AssessmentAsk
from dct_pipelines.domain.git_refs import Oid
from dct_pipelines.domain.matching import GlobIndex, fold, shown


@dataclass(frozen=True)
class BranchAsks:
    """The asks of an item's triggers, resolved on its references as they are now."""

    asks: tuple[AssessmentAsk, ...]
    branches: Mapping[str, Oid]
    default: str | None

    @cached_property
    def _by_glob(self) -> GlobIndex[tuple[str, int]]:
        return GlobIndex(
            (ask.branch_glob, (target, ask.quiet_seconds))
            for ask in self.asks
            if (target := self._resolved[ask.target_branch]) is not None
        )

    @cached_property
    def _resolved(self) -> Mapping[str | None, str | None]:
        """The target that each ask means: the branch of that name, else the only one in another case."""
        wanted = {ask.target_branch for ask in self.asks}
        folded: dict[str, list[str]] = {}
        if wanted - {None} - self.branches.keys():
            for branch in self.branches:
                folded.setdefault(fold(branch), []).append(branch)
        return {target: self._resolve(target, folded) for target in wanted}

    def _resolve(self, target: str | None, folded: Mapping[str, list[str]]) -> str | None:
        if target is None or target in self.branches:
            return self.default if target is None else target
        found = folded.get(fold(target), ())
        return found[0] if len(found) == 1 else None

    @property
    def targets(self) -> frozenset[str]:
        """Every branch that something is compared with."""
        return frozenset(target for target in self._resolved.values() if target is not None)

    @property
    def missing(self) -> Iterable[str]:
        """What was asked for and cannot be compared with, in words."""
        for target in sorted((t for t, found in self._resolved.items() if found is None), key=str):
            if target is None:
                yield "the repository has no default branch, so nothing can be compared with it"
            else:
                yield f"there is no branch {shown(target)!r}, so nothing can be compared with it"

    def of(self, branch: str) -> Mapping[str, tuple[int, ...]]:
        """The targets for a branch, each with its quiet times in seconds, both in order."""
        found: dict[str, set[int]] = {}
        for target, quiet in self._by_glob.find(branch):
            if target != branch:
                found.setdefault(target, set()).add(quiet)
        return {target: tuple(sorted(found[target])) for target in sorted(found)}


def quiet_level(quiets: Iterable[int], elapsed_seconds: int) -> int:
    """The longest of the asked quiet times that is over."""
    return max((quiet for quiet in quiets if quiet <= elapsed_seconds), default=0)
