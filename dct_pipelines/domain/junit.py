"""What JUnit XML says: how many tests, and which of them failed.

The files are written by the code under test, so nothing in them is trusted: no document type (hence no
entities to expand), bounded size, depth and number of cases. Shapes seen in the wild: `testsuites` or
`testsuite` as root, suites in suites; the cases are counted, not the totals that a suite claims.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.parsers.expat import ExpatError, ParserCreate

from dct_pipelines.domain.errors import ActionFailed

LARGEST_BYTES = 64 * 1024 * 1024
DEEPEST = 50
SHOWN_FAILING = 10
_KEPT_FAILING = 1000
_LONGEST_NAME = 300
_CASE = "testcase"
_RESULTS = frozenset({"failure", "error", "skipped"})
_SUMMARY = re.compile(
    r"(?P<tests>\d+) tests?: (?P<passed>\d+) passed, (?P<failures>\d+) failed, (?P<errors>\d+) broken, "
    r"(?P<skipped>\d+) skipped"
)


@dataclass(frozen=True)
class Tally:
    """Counts, and the names of the failing tests (`class::name`; at most a thousand are kept)."""

    tests: int = 0
    failures: int = 0
    errors: int = 0
    skipped: int = 0
    failing: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        """Tests that failed or broke."""
        return self.failures + self.errors

    @property
    def is_pass(self) -> bool:
        """Whether at least one test ran to its end and none failed: no tests at all is no pass."""
        return not self.failed and self.tests > self.skipped

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.tests + other.tests,
            self.failures + other.failures,
            self.errors + other.errors,
            self.skipped + other.skipped,
            (self.failing + other.failing)[:_KEPT_FAILING],
        )

    def __str__(self) -> str:
        passed = self.tests - self.failed - self.skipped
        tests = "1 test" if self.tests == 1 else f"{self.tests} tests"
        text = (
            f"{tests}: {passed} passed, {self.failures} failed, {self.errors} broken, {self.skipped} skipped"
        )
        return f"{text}; failing: {self.shown_failing}" if self.failing else text

    @property
    def shown_failing(self) -> str:
        """The first failing names, and how many more there are."""
        more = self.failed - SHOWN_FAILING
        return ", ".join(self.failing[:SHOWN_FAILING]) + (f" and {more} more" if more > 0 else "")


def tally_of_summary(summary: str) -> Tally | None:
    """The counts of `str(tally)`: what is kept of an earlier run is its summary. Failing names are not."""
    match = _SUMMARY.match(summary)
    if match is None:
        return None
    tests, failures, errors, skipped = (
        int(match[name]) for name in ("tests", "failures", "errors", "skipped")
    )
    return Tally(tests, failures, errors, skipped)


def tally(reports: Iterable[bytes]) -> Tally:
    """All reports together; `ActionFailed` when one cannot be read."""
    total = Tally()
    for report in reports:
        total += read_report(report)
    return total


def read_report(report: bytes) -> Tally:
    """One file."""
    if len(report) > LARGEST_BYTES:
        raise ActionFailed(
            f"a JUnit file is larger than {LARGEST_BYTES} bytes; let the suite write less into it"
        )
    reader = _Reader()
    parser = ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.SetParamEntityParsing(0)
    try:
        parser.Parse(report, True)
    except ExpatError as error:
        raise ActionFailed(
            f"a JUnit file is not well-formed ({error}); did the suite end half-way?"
        ) from error
    return reader.total()


def _refuse_doctype(*_declaration: object) -> None:
    raise ActionFailed("a JUnit file declares a document type, which is refused; JUnit XML needs none")


class _Reader:
    """Follows the elements. A case counts when it ends, by the worst that was said in it."""

    def __init__(self) -> None:
        self._depth = 0
        self._case: str | None = None
        self._result = ""
        self._counts = dict.fromkeys(("", *_RESULTS), 0)
        self._failing: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ActionFailed(f"a JUnit file is nested deeper than {DEEPEST} elements; it is refused")
        tag = name.rpartition(":")[2]
        if tag == _CASE:
            where = attributes.get("classname") or attributes.get("file") or ""
            title = f"{where}::{attributes.get('name', '')}" if where else attributes.get("name", "")
            self._case, self._result = " ".join(title.split())[:_LONGEST_NAME] or "(no name)", ""
        elif self._case is not None and tag in _RESULTS and self._result not in ("failure", "error"):
            self._result = tag

    def end(self, name: str) -> None:
        self._depth -= 1
        if name.rpartition(":")[2] != _CASE or self._case is None:
            return
        self._counts[self._result] += 1
        if self._result in ("failure", "error") and len(self._failing) < _KEPT_FAILING:
            self._failing.append(self._case)
        self._case = None

    def total(self) -> Tally:
        return Tally(
            tests=sum(self._counts.values()),
            failures=self._counts["failure"],
            errors=self._counts["error"],
            skipped=self._counts["skipped"],
            failing=tuple(self._failing),
        )
