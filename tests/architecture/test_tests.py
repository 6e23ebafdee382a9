"""The tests keep the rules that make them worth running."""

from __future__ import annotations

from tests.architecture.tree import dotted_names, imports, name_of, python_files

SKIPS = frozenset(
    "pytest.skip pytest.importorskip pytest.xfail pytest.mark.skip pytest.mark.skipif pytest.mark.xfail "
    "unittest.skip unittest.skipIf unittest.skipUnless unittest.SkipTest".split()
)


def test_no_test_is_skipped():
    faults = [
        f"{name_of(path)}:{line} {name}"
        for path in python_files("tests")
        for line, name in dotted_names(path)
        if name in SKIPS
    ]
    assert not faults, "\n".join(faults)


def test_nothing_is_patched_or_mocked():
    """Ports have fakes; a patched name proves only that the name is there. Variables may be set."""
    faults = [
        f"{name_of(path)}:{line} {name}"
        for path in python_files("tests", "benchmarks")
        for line, name in (*dotted_names(path), *imports(path))
        if name.startswith(("unittest.mock", "mock."))
        or name in {"monkeypatch.setattr", "monkeypatch.delattr"}
    ]
    assert not faults, "\n".join(faults)
