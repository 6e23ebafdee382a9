"""Nothing of the machine it was written on stays in the tree, and its documents point at what exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, documents, name_of, tracked_files

HOMES = ("work", "root", "home", "Users", "tmp/bash_jobs")
MACHINE_PATH = re.compile(rf"(?<![\w.:/<>{{}}$~-])/(?:{'|'.join(HOMES)})/[\w.-]+")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*$", re.MULTILINE)


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the tree."""
    for path in tracked_files():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings have on the usual hosts."""
    headings = (
        re.sub(r"[^\w\s-]", "", found.lower()) for found in HEADING.findall(page.read_text(encoding="utf-8"))
    )
    return {heading.strip().replace(" ", "-") for heading in headings}


def broken(page: Path, target: str) -> bool:
    """Whether a link of the page leads nowhere in the tree."""
    place, _, anchor = target.partition("#")
    there = (page.parent / place) if place else page
    if not there.exists():
        return True
    return bool(anchor) and there.suffix == ".md" and anchor not in anchors(there)


def test_no_path_of_a_machine_is_in_the_tree():
    found = [
        f"{name_of(path)}:{text[: match.start()].count(chr(10)) + 1} {match.group()}"
        for path, text in texts()
        for match in MACHINE_PATH.finditer(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", HOMES)
def test_a_path_of_a_machine_would_be_found(folder: str):
    assert MACHINE_PATH.search(f'cd "/{folder}/somebody/x"')
    assert not MACHINE_PATH.search(f"https://example.org/{folder}/somebody")


def test_every_link_of_the_documents_leads_somewhere():
    faults = [
        f"{name_of(page)}: {target}"
        for page in documents()
        for groups in LINK.findall(page.read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:", target := groups[0] or groups[1]) and broken(page, target)
    ]
    assert not faults, "\n".join(faults)


def test_decisions_are_numbered_without_gaps_and_have_their_parts():
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    numbers = [page.name.partition("-")[0] for page in pages]
    assert numbers == [f"{number:04d}" for number in range(1, len(pages) + 1)]
    for page in pages:
        headings = {heading.lower() for heading in HEADING.findall(page.read_text(encoding="utf-8"))}
        assert {"context", "decision", "consequences"} <= headings, name_of(page)
