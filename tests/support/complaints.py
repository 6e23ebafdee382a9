"""Messages of failures: some that are alike differ in ids, numbers, quoted names, paths and addresses."""

from __future__ import annotations

from hypothesis import strategies as st

Complaint = tuple[str, str]
"""A message, and what it has in common with those that are alike: its first line, … for what differs."""
_words = st.sampled_from(["main", "qa", "feature", "docs", "Notes", "x"])
_hosts = st.sampled_from(["git.example.org", "localhost", "mail.example.org"])
_paths = st.lists(_words, min_size=1, max_size=3).map("/".join)
_FILLINGS: dict[str, st.SearchStrategy[str]] = {
    "a quoted name": st.builds(
        lambda quote, text: f"{quote}{text}{quote}",
        st.sampled_from("\"'`"),
        st.sampled_from(["qa", "feature/a", "", "In QA → Done", "the 3 of us, or (none)", "~/x"]),
    ),
    "a path": st.one_of(
        st.builds(lambda root, path: root + path, st.sampled_from(["/", "~/", "./", "../"]), _paths),
        st.builds(lambda first, path: f"{first}/{path}", _words, _paths),
        st.sampled_from(["/srv/a-b.git", "refs/heads/feature/pay-7", "docs/"]),
    ),
    "an address": st.one_of(
        st.builds(
            lambda scheme, host, path: f"{scheme}://{host}/{path}",
            st.sampled_from(["https", "ssh", "imap"]),
            _hosts,
            _paths,
        ),
        st.builds(lambda name, host: f"{name}@{host}", st.sampled_from(["ada", "b.o+b", "git"]), _hosts),
        st.sampled_from(["https://localhost:8080", "git@localhost:docs/x.git", "https://h/?q=a:b&c=d"]),
    ),
    "an id": st.one_of(
        st.uuids().map(str),
        st.sampled_from(["PAY-7", "7f3a9c2", "v1.2.3", "10.0.0.1", "2026-03-02", "a1", "_9"]),
    ),
    "a number": st.one_of(
        st.integers(-100, 10_000_000).map(str),
        st.integers(0, 10_000_000).map(lambda n: f"{n:,}"),
        st.sampled_from(["0.5", "-12.25", "1e9", "12,345.75"]),
    ),
}
_OPENINGS = ("", "cannot merge ", "it can't be: ", "Öffnen schlug fehl – ", "in (", "key=")
_MIDDLES = (" into ", ": exit ", "; after ", ", then ", " (of ", ") is not ", ". Instead: ", " isn't ")
_ENDINGS = ("", ".", ": no such thing", ", which is odd", " is the users' fault", ")", "?")


@st.composite
def _lines(draw: st.DrawFn) -> Complaint:
    text = pattern = draw(st.sampled_from(_OPENINGS))
    for place in range(draw(st.integers(0, 3))):
        between = draw(st.sampled_from(_MIDDLES)) if place else ""
        text += between + draw(_FILLINGS[draw(st.sampled_from(list(_FILLINGS)))])
        pattern += between + "…"
    ending = draw(st.sampled_from(_ENDINGS))
    return (text + ending).strip(), (pattern + ending).strip()


_LONG = "far too long " * 40
_BEFORE = ("", "", "\n", "\r\n  \r\n", " ")
_AFTER = ("", "", "\nand more: 7", "\r\n", "\n\nTraceback", " ")
_plain = st.sampled_from(["", "boom", "no answer", "timed out", _LONG])


def _told(before: str, line: Complaint, after: str) -> Complaint:
    text, pattern = line
    return before + text + (after if text else ""), pattern[:400]


complaints: st.SearchStrategy[Complaint] = st.builds(
    _told,
    st.sampled_from(_BEFORE),
    st.one_of(_lines(), _lines(), _plain.map(lambda text: (text, text))),
    st.sampled_from(_AFTER),
)
