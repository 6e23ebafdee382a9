"""Run as a program: imports every module of the package and prints, as JSON, what that did besides.

Python's import machinery may read files, and so may foreign packages for themselves. What counts is a
file or a variable that a line of ours asks for, any connection or process of ours, and any write at all.
The one argument is DAGSTER_HOME: nothing below it may be opened.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = f"{Path(__file__).resolve().parents[2] / 'dct_pipelines'}/"
FOREIGN = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
SETTINGS = "dotenv"
NEVER = frozenset(
    "socket.connect socket.bind subprocess.Popen os.system os.fork os.forkpty os.posix_spawn os.exec".split()
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def culprit(frame: FrameType | None, through_packages: bool = False) -> str | None:
    """The line of ours that asked for it, itself or through the standard library; None when a package did.

    Looks at the environment and at files are a package's own when it makes them, as pydantic does for each
    model; but whoever makes settings reads the environment. Connections and processes are ours also when
    we ask a package for them (`through_packages`), unless it was while that package was imported.
    """
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(PACKAGE):
            return f"{name.removeprefix(PACKAGE)}:{frame.f_lineno}"
        is_package = name.startswith(FOREIGN) and SETTINGS not in name
        if name.startswith("<frozen importlib") or (is_package and not through_packages):
            return None
        frame = frame.f_back
    return None


class Watch:
    """Collects what must not happen while modules are imported."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.faults: list[str] = []

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python's audit hook: told of every file, socket and process."""
        if event in NEVER:
            if line := culprit(sys._getframe(1), through_packages=True):
                self.faults.append(f"{line}: {event} {arguments[:1]}")
        elif event == "open" and isinstance(arguments[0], str):
            self._opened(arguments[0], arguments[2], culprit(sys._getframe(1)))

    def _opened(self, path: str, flags: object, line: str | None) -> None:
        is_code = path.endswith((".py", ".pyc")) or "__pycache__" in path
        writes = isinstance(flags, int) and flags & WRITING and not is_code and path != os.devnull
        if writes or path.startswith(self.home) or (line and not is_code):
            self.faults.append(f"{line or 'another package'} opened {path}")

    def environment(self) -> None:
        """From now on, report every variable that a line of ours looks at."""
        kind = type(os.environ)
        original = kind.__getitem__

        def looked_at(environ: Any, name: Any) -> Any:
            if line := culprit(sys._getframe(1)):
                self.faults.append(f"{line} read the variable {name}")
            return original(environ, name)

        kind.__getitem__ = looked_at  # type: ignore[method-assign]


def modules() -> Iterator[str]:
    """Every module but migrations, which Alembic runs, and programs."""
    package = importlib.import_module("dct_pipelines")
    for module in pkgutil.walk_packages(package.__path__, "dct_pipelines."):
        if ".migrations" not in module.name and not module.name.endswith(".__main__"):
            yield module.name


def main() -> None:
    """Import everything and say what else happened."""
    watch = Watch(sys.argv[1])
    watch.environment()
    sys.addaudithook(watch.audit)
    imported = []
    for name in modules():
        try:
            imported.append(importlib.import_module(name).__name__)
        except ImportError as error:
            watch.faults.append(f"{name} cannot be imported: {error}")
    print(json.dumps({"imported": imported, "faults": watch.faults}))


if __name__ == "__main__":
    main()
