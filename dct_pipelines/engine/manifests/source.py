"""Reads YAML files into plain data, and remembers on which line everything stood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from dct_pipelines.engine.manifests.faults import Fault, Path

SUFFIXES = (".yaml", ".yml")
MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_NODES = 500_000
"""Values of one file, each use of an alias counted: aliases of aliases must not fill the memory."""
MAX_DEPTH = 50


class _Tagged(ValueError):
    """A tag, and the line on which it stands."""

    def __init__(self, tag: str, line: int) -> None:
        super().__init__(f"tags have no meaning in a manifest: {tag}")
        self.line = line


@dataclass(frozen=True)
class Document:
    """One manifest as plain data. `folder` is what a relative location in it is relative to."""

    file: str
    data: Any
    folder: FilePath = FilePath()
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int:
        """The line of the nearest thing at or above the path; 0 when the document has no lines."""
        for length in range(len(path), -1, -1):
            if line := self.lines.get(path[:length]):
                return line
        return 0

    def fault(self, path: Path, message: str) -> Fault:
        """A fault at that place."""
        return Fault(self.file, self.line_of(path), path, message)


def read_documents(paths: Sequence[FilePath]) -> tuple[list[Document], list[Fault]]:
    """Every document of the files, and of the *.yaml and *.yml below the folders, in the order of names."""
    documents: list[Document] = []
    faults: list[Fault] = []
    for path in paths:
        files = list(_files(path))
        if not files:
            there = "there are no *.yaml or *.yml files in it" if path.is_dir() else "there is no such file"
            faults.append(Fault(str(path), 0, (), f"{there}; name a file or folder of manifests"))
        for file in files:
            found, wrong = _read(file)
            documents += found
            faults += wrong
    if not documents and not faults:
        names = ", ".join(map(str, paths))
        faults.append(Fault(names, 0, (), "there is no manifest in it; see `dct schema` for what one holds"))
    return documents, faults


def _files(path: FilePath) -> Iterator[FilePath]:
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())


def _read(file: FilePath) -> tuple[list[Document], list[Fault]]:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            return [], [Fault(str(file), 0, (), "the file is larger than 4 MiB; split it")]
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return [], [Fault(str(file), 0, (), f"the file cannot be read as UTF-8 text ({error})")]
    return parse_text(text, str(file), file.parent)


def parse_text(text: str, file: str, folder: FilePath) -> tuple[list[Document], list[Fault]]:
    """The documents of one YAML text; after a fault of syntax the rest of the text is not read."""
    documents: list[Document] = []
    try:
        for node in YAML(typ="rt").load_all(StringIO(text)):
            if node is None:
                continue
            walker = _Walker()
            data = walker.plain(node, ())
            documents.append(Document(file, data, folder, walker.lines))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(filter(None, (error.context, error.problem))).split("\n")[0]
        return documents, [Fault(file, mark.line + 1 if mark else 0, (), f"this is not YAML: {said}")]
    except _Tagged as error:
        return documents, [Fault(file, error.line, (), str(error))]
    except (YAMLError, ValueError, RecursionError) as error:
        return documents, [Fault(file, 0, (), f"this cannot be read as YAML: {str(error) or 'too deep'}")]
    return documents, []


class _Walker:
    """Copies what ruamel made into plain data, and notes the line of every key and place."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.count = 0

    def plain(self, node: Any, path: Path) -> Any:
        self.count += 1
        if self.count > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES} values; split the file, or use fewer aliases")
        if len(path) > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        if tag := getattr(getattr(node, "tag", None), "value", None):
            raise _Tagged(tag, self.lines.get(path, 0))
        if isinstance(node, CommentedMap):
            self.lines.setdefault(path, node.lc.line + 1)
            return {str(key): self._child(node, key, (*path, str(key))) for key in node}
        if isinstance(node, CommentedSeq):
            self.lines.setdefault(path, node.lc.line + 1)
            return [self._child(node, index, (*path, index)) for index in range(len(node))]
        return _scalar(node)

    def _child(self, node: Any, key: Any, path: Path) -> Any:
        places = node.lc.data or {}
        if key in places:
            self.lines[path] = places[key][0] + 1
        return self.plain(node[key], path)


def _scalar(node: Any) -> Any:
    if isinstance(node, ScalarBoolean):
        return bool(node)
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return node if type(node) is kind else kind(node)
    return node
