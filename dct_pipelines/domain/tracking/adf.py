"""Atlassian's document format, which Jira Cloud speaks: to text, and from text. Data Center has wiki markup.

Text that we write becomes text nodes and nothing else, so that nothing in it is ever markup: no mention, no
link, no macro. https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dct_pipelines.domain.errors import PayloadUnreadable
from dct_pipelines.domain.text_rules import LONGEST_TEXT
from dct_pipelines.domain.tracking.raw import clean

DEEPEST = 100
BLOCKS = frozenset(
    "paragraph heading blockquote codeBlock listItem tableRow panel rule mediaSingle taskItem decisionItem"
    " expand nestedExpand".split()
)
"""Nodes that stand on lines of their own."""


def text_of(body: Any) -> str:
    """The text of a field: ADF as its words, anything that is text already as it is; at most LONGEST_TEXT."""
    if body is None:
        return ""
    if isinstance(body, str):
        return clean(body[:LONGEST_TEXT])
    if not isinstance(body, Mapping):
        raise PayloadUnreadable(f"a text is neither text nor a document but {type(body).__name__}")
    parts: list[str] = []
    _collect(body, parts, 0)
    return clean("".join(parts).strip("\n")[:LONGEST_TEXT])


def _collect(node: Mapping[str, Any], parts: list[str], depth: int) -> None:
    if depth > DEEPEST:
        raise PayloadUnreadable(f"a document is more than {DEEPEST} levels deep")
    kind = str(node.get("type"))
    if kind in BLOCKS and parts and not parts[-1].endswith("\n"):
        parts.append("\n")
    if own := _own_text(node):
        parts.append(own)
    children = node.get("content", ())
    if not isinstance(children, list | tuple):
        raise PayloadUnreadable("a document's content is no list")
    for child in children:
        if not isinstance(child, Mapping):
            raise PayloadUnreadable("a document's node is no object")
        _collect(child, parts, depth + 1)
    if kind in BLOCKS and parts and not parts[-1].endswith("\n"):
        parts.append("\n")
    if kind == "tableCell":
        parts.append("\t")


def _own_text(node: Mapping[str, Any]) -> str:
    """What a leaf says; of mentions, emojis, links and dates what a reader sees."""
    attributes = node.get("attrs")
    seen = attributes if isinstance(attributes, Mapping) else {}
    match node.get("type"):
        case "text":
            return str(node.get("text", ""))
        case "hardBreak":
            return "\n"
        case "mention" | "status" | "placeholder":
            return str(seen.get("text", ""))
        case "emoji":
            return str(seen.get("text") or seen.get("shortName", ""))
        case "inlineCard" | "blockCard" | "embedCard":
            return str(seen.get("url", ""))
        case "date":
            return str(seen.get("timestamp", ""))
        case _:
            return ""


def document(text: str) -> dict[str, Any]:
    """A document of this text: a paragraph for what empty lines separate, line breaks within."""
    blocks = [block for block in text.replace("\r\n", "\n").split("\n\n") if block.strip("\n")]
    return {"type": "doc", "version": 1, "content": [_paragraph(block.strip("\n")) for block in blocks]}


def _paragraph(block: str) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for number, line in enumerate(block.split("\n")):
        if number:
            content.append({"type": "hardBreak"})
        if line:
            content.append({"type": "text", "text": line})
    return {"type": "paragraph", "content": content}
