"""The stream of events: branches pushed by a developer, some to be merged, some to be deployed."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.crash.ground import ENVIRONMENTS, Ground

DEPLOY_EVERY = 8
"""One branch in so many is deployed, the others are merged."""


@dataclass
class Feed:
    """Pushes branches; remembers each branch's head, which is all that the count needs."""

    ground: Ground
    heads: dict[str, str] = field(default_factory=dict)

    def push(self, count: int) -> None:
        """Push the next `count` branches at once."""
        refs = []
        for number in range(len(self.heads), len(self.heads) + count):
            release = number % DEPLOY_EVERY == 0
            lane = (number // DEPLOY_EVERY) % ENVIRONMENTS
            branch = f"release-{lane}/{number}" if release else f"feature/{number}"
            self.ground.git("checkout", "-q", "--detach", "origin/main")
            (self.ground.clone / f"file-{number}.txt").write_text(f"{branch}\n")
            self.ground.git("add", ".")
            self.ground.git("commit", "-qm", f"Work of {branch}")
            self.heads[branch] = self.ground.git("rev-parse", "HEAD").strip()
            refs.append(f"{self.heads[branch]}:refs/heads/{branch}")
        if refs:
            self.ground.git("push", "-q", "origin", *refs)
