"""Reading manifests: YAML of any kind is understood or refused, and every value keeps its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.engine.manifests import InvalidManifests, World, check, read_documents
from dct_pipelines.engine.manifests.source import parse_text


def test_what_is_not_yaml_is_a_fault_with_its_line():
    documents, wrong = parse_text("kind: trigger\nname: [a\n---\n", "broken.yaml", Path())
    assert (documents, wrong[0].file) == ([], "broken.yaml")
    assert wrong[0].line in (2, 3)
    assert "not YAML" in wrong[0].message


def test_a_key_that_is_there_twice_is_a_fault():
    _, wrong = parse_text("kind: trigger\nname: a\nname: b\n", "twice.yaml", Path())
    assert wrong[0].line == 3


def test_aliases_of_aliases_cannot_fill_the_memory():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    _, wrong = parse_text("\n".join(lines), "bomb.yaml", Path())
    assert "split the file" in wrong[0].message


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_but_never_breaks_the_reader(text: str):
    documents, wrong = parse_text(text, "any.yaml", Path())
    if not wrong and documents:
        with pytest.raises(InvalidManifests):
            check(documents, World({}))


def test_folders_are_read_deeply_in_the_order_of_names(tmp_path: Path):
    (tmp_path / "b").mkdir()
    for name in ("z.yaml", "b/a.yml", "notes.txt"):
        (tmp_path / name).write_text(f"kind: item\nname: {name[0]}\n")
    documents, wrong = read_documents([tmp_path])
    assert wrong == []
    assert [document.data["name"] for document in documents] == ["b", "z"]


def test_a_folder_without_manifests_and_a_file_that_is_not_there_are_faults(tmp_path: Path):
    _, wrong = read_documents([tmp_path, tmp_path / "missing.yaml"])
    assert [fault.message.split(";")[0] for fault in wrong] == [
        "there are no *.yaml or *.yml files in it",
        "there is no such file",
    ]
