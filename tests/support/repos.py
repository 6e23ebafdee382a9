"""Real sample repositories, made quickly: one `git fast-import` a commit, one for ten thousand branches."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dct_pipelines.domain.git_refs import HEADS, Oid

A_MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_WHO = "Sample <sample@example.invalid>"


def git(*args: str, cwd: Path, stdin: bytes = b"") -> str:
    """Run the system's git without anybody's configuration; a failure fails the test, with git's words."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "Sample",
        "GIT_AUTHOR_EMAIL": "sample@example.invalid",
        "GIT_COMMITTER_NAME": "Sample",
        "GIT_COMMITTER_EMAIL": "sample@example.invalid",
    }
    done = subprocess.run(["git", *args], cwd=cwd, env=env, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace").strip()


@dataclass(frozen=True)
class SampleRepository:
    """A bare repository that a test writes to directly."""

    path: Path

    @classmethod
    def create(cls, path: Path, default_branch: str = "main") -> SampleRepository:
        """An empty one; HEAD names a branch that has no commit yet."""
        path.mkdir(parents=True)
        git("init", "-q", "--bare", "--template=", f"--initial-branch={default_branch}", ".", cwd=path)
        return cls(path)

    @property
    def url(self) -> str:
        return str(self.path)

    def commit(
        self,
        branch: str,
        files: Mapping[str, str | None],
        message: str = "Change something",
        *,
        parents: Sequence[Oid] | None = None,
        at: datetime = A_MOMENT,
        who: str = _WHO,
    ) -> Oid:
        """Commit on top of the branch, or on `parents`, and move the branch there; None removes a file."""
        if parents is None:
            head = self.head(branch)
            parents = [head] if head else []
        lines = [b"reset refs/dct/made", b"commit refs/dct/made", b"mark :1"]
        stamp = f"{who} {int(at.timestamp())} +0000"
        lines += [f"author {stamp}".encode(), f"committer {stamp}".encode(), _data(message)]
        lines += [
            f"{'merge' if number else 'from'} {parent}".encode() for number, parent in enumerate(parents)
        ]
        for name, content in files.items():
            quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
            if content is None:
                lines.append(f"D {quoted}".encode())
            else:
                lines += [f"M 100644 inline {quoted}".encode(), _data(content)]
        (oid,) = self._import([*lines, b"get-mark :1"])
        self.branch(branch, oid)
        git("update-ref", "-d", "refs/dct/made", cwd=self.path)
        return oid

    def branch(self, name: str, oid: Oid) -> None:
        """Make the branch, or force it there."""
        git("update-ref", HEADS + name, oid, cwd=self.path)

    def branches(self, heads: Iterable[tuple[str, Oid]]) -> None:
        """Many at once, packed as a server has them: written into packed-refs, whose format is simple."""
        git("pack-refs", "--all", cwd=self.path)
        packed = self.path / "packed-refs"
        known = (
            [line for line in packed.read_text().splitlines() if line[0] not in "#^"]
            if packed.exists()
            else []
        )
        refs = dict(line.split(" ", 1)[::-1] for line in known) | {HEADS + name: oid for name, oid in heads}
        lines = ["# pack-refs with: sorted ", *(f"{oid} {name}" for name, oid in sorted(refs.items()))]
        packed.write_text("\n".join(lines) + "\n")

    def commits_on_branches(self, base: Oid, names: Sequence[str], content: str = "x\n") -> dict[str, Oid]:
        """One commit of a file of its own on top of `base` for each branch, all in one call."""
        lines: list[bytes] = []
        for number, name in enumerate(names, start=1):
            stamp = f"{_WHO} {int(A_MOMENT.timestamp())} +0000"
            lines += [f"commit {HEADS}{name}".encode(), f"mark :{number}".encode()]
            lines += [f"committer {stamp}".encode(), _data(f"Work on {name}"), f"from {base}".encode()]
            lines += [f"M 100644 inline work-{number}.txt".encode(), _data(f"{content}{name}\n")]
            lines.append(f"get-mark :{number}".encode())
        return dict(zip(names, self._import(lines), strict=True))

    def delete_branch(self, name: str) -> None:
        git("update-ref", "-d", HEADS + name, cwd=self.path)

    def tag(self, name: str, oid: Oid, message: str | None = None) -> None:
        """A lightweight tag, or an annotated one when there is a message."""
        annotated = ["-a", "-m", message] if message else []
        git("tag", *annotated, name, oid, cwd=self.path)

    def head(self, branch: str) -> Oid | None:
        found = git("for-each-ref", "--format=%(objectname)", HEADS + branch, cwd=self.path)
        return Oid(found) if found else None

    def files(self, oid: Oid) -> dict[str, str]:
        """Path to content, of a commit."""
        names = git("ls-tree", "-r", "-z", "--name-only", oid, cwd=self.path).split("\0")
        return {name: git("show", f"{oid}:{name}", cwd=self.path) + "\n" for name in names if name}

    def _import(self, lines: Sequence[bytes]) -> list[Oid]:
        """Run them; what they ask for by `get-mark` comes back."""
        said = git("fast-import", "--quiet", "--force", cwd=self.path, stdin=b"\n".join(lines) + b"\n")
        return [Oid(line) for line in said.split()]


def _data(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogateescape")
    return b"data %d\n%s" % (len(encoded), encoded)
