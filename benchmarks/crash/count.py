"""Counts effects where they are: merges in the repository, lines of the deploy command, posts received."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from benchmarks.crash.feed import Feed
from benchmarks.crash.ground import Ground
from benchmarks.crash.receiver import Receiver


@dataclass(frozen=True)
class Count:
    """Effects missing and effects there twice, in sentences; and repeats that a receiver deduplicates."""

    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    repeated_posts: int
    repeated_deployments: int


def count(ground: Ground, feed: Feed, receiver: Receiver) -> Count:
    """Look at everything outside."""
    merged = _merged(ground)
    deployed, lines = _deployed(ground)
    lost, doubled = [], []
    for branch, head in feed.heads.items():
        found = {"merge in qa": merged[head]} if branch.startswith("feature/") else {}
        if branch.startswith("release-"):
            found["deployment"] = len(deployed[head])
        found["post"] = len(receiver.keys_by_text.get(branch, ()))
        lost += [f"{branch}: no {what}" for what, times in found.items() if times == 0]
        doubled += [f"{branch}: {what} {times} times" for what, times in found.items() if times > 1]
    keys = sum(len(found) for found in deployed.values())
    return Count(tuple(lost), tuple(doubled), receiver.raw_repeats, lines - keys)


def _merged(ground: Ground) -> Counter[str]:
    """How many merge commits on `qa`, at the repository itself, bring each head in."""
    log = ground.git("log", "--first-parent", "--format=%P", "qa", directory=ground.repository)
    parents = (line.split() for line in log.splitlines())
    return Counter(second for _, *rest in (line for line in parents if line) for second in rest)


def _deployed(ground: Ground) -> tuple[dict[str, set[str]], int]:
    """By commit: the idempotency keys that the deploy command ran with; and how often it ran in all."""
    found: dict[str, set[str]] = defaultdict(set)
    text = ground.deployments.read_text() if ground.deployments.exists() else ""
    for line in text.splitlines():
        commit, key = line.split()
        found[commit].add(key)
    return found, len(text.splitlines())
