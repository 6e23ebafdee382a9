"""HTML to the text that a reader sees. What a style, an attribute or an element hides is left out.

Hidden text is how a mail speaks to programs behind its reader's back. Known are the ways below, in `style`
attributes and in style sheets; text in the colour of its background is out of reach.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

MOST_NODES = 50_000
MOST_HIDDEN = 20_000
DEEPEST = 400

_NEVER_SHOWN = frozenset(
    "head style script template title meta link noframes iframe object embed applet audio video canvas svg "
    "math datalist area param source track".split()
)
_OWN_LINE = frozenset(
    "p div tr li ul ol table h1 h2 h3 h4 h5 h6 blockquote pre section article header footer hr dl dt dd "
    "form fieldset address main nav aside center".split()
)
_CLOSES_ITSELF = frozenset(
    "area base br col embed hr img input link meta param source track wbr "
    "p li dd dt tr td th thead tbody tfoot option optgroup".split()
)
"""Those without content, and those that the next of their kind ends."""
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]{0,30})")
_GONE = re.compile(
    r"(?:^|;)(?:display:none|mso-hide:all|opacity:[+-]?0*(?:\.0*)?(?:e[+-]?\d+)?%?(?:;|$|!)|content-visibility:hidden"
    r"|text-indent:-\d{3,}|(?:left|top|right|bottom|margin-left|margin-top):-\d{3,}|clip(?:-path)?:(?:rect\(0|inset\((?:50|100)%)"
    r"|transform:[^;]{0,200}scale[xy3d]{0,2}\(0[,)])"
)
_NO_SIZE = re.compile(r"(?:^|;)(?:max-)?(?:height|width):0(?:\.0+)?(?:[a-z%]{0,4})(?=;|$|!)")
_CLIPPED = re.compile(r"(?:^|;)overflow(?:-[xy])?:(?:hidden|clip)")
_FONT = re.compile(r"(?:^|;)font-size:([^;!]{1,40})")
_SHORT_FONT = re.compile(r"(?:^|;)font:(?:[^;]{0,100}?\s)?(0(?:\.0+)?[a-z%]{0,4})(?=[\s/])")
_TINY = re.compile(r"[+-]?0*(?:\.\d+)?(?:[a-z%]{0,4})|[01](?:\.\d+)?px")
_RELATIVE = re.compile(r"[\d.]+(?:em|%|ex|ch)|smaller|larger|inherit")
_VISIBILITY = re.compile(r"(?:^|;)visibility:([a-z]+)")
_COLOR = re.compile(
    r"(?:^|;)color:(transparent|rgba\([^)]{0,60},0?(?:\.0+)?\)|#[0-9a-f]{3}0(?=;|$)|#[0-9a-f]{6}00(?=;|$))?"
)
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)


@dataclass(frozen=True)
class _Inherited:
    """What an element hands down and its descendants may undo."""

    is_tiny: bool = False
    is_invisible: bool = False
    is_transparent: bool = False

    @property
    def is_seen(self) -> bool:
        return not (self.is_tiny or self.is_invisible or self.is_transparent)


def text_of_html(html: str) -> str:
    """The visible text; elements that begin a line do so. Nesting and size are bounded."""
    tree = LexborHTMLParser(html[: _too_deep(html)])
    body = tree.body
    if body is None:
        return ""
    sheet: dict[int, str] = {}
    for node, style in _hiding_rules(tree):
        sheet[node.mem_id] = f"{sheet.get(node.mem_id, '')};{style}"
    text = re.sub(r"[ \t\u00a0]+", " ", "".join(_pieces(body, sheet)))
    return "\n".join(line.strip() for line in text.split("\n"))


def _too_deep(html: str) -> int | None:
    """Where elements are nested deeper than in any mail of a person: parsers then take quadratic time."""
    opened: Counter[str] = Counter()
    depth = 0
    for match in _TAG.finditer(html):
        tag = match[2].lower()
        if tag in _CLOSES_ITSELF:
            continue
        if not match[1]:
            opened[tag] += 1
            depth += 1
        elif opened[tag]:
            opened[tag] -= 1
            depth -= 1
        if depth > DEEPEST:
            return match.start()
    return None


def _pieces(body: LexborNode, sheet: dict[int, str]) -> Iterator[str]:
    """Depth first with a stack of our own: nesting that is too deep for recursion is nothing special."""
    stack: list[tuple[LexborNode | str, _Inherited]] = [(body, _Inherited())]
    for _ in range(MOST_NODES):
        if not stack:
            return
        node, handed = stack.pop()
        if isinstance(node, str):
            yield node
            continue
        tag = node.tag or ""
        if tag == "-text":
            if handed.is_seen:
                yield re.sub(r"\s+", " ", node.text_content or "")
            continue
        if tag.startswith("-") or tag in _NEVER_SHOWN:
            continue
        own = _style(node, sheet.get(node.mem_id, ""))
        if _is_gone(node, own):
            continue
        inherited = _handed_down(own, handed)
        if tag == "br":
            yield "\n"
        elif tag in _OWN_LINE:
            yield "\n"
            stack.append(("\n", handed))
        elif tag in ("td", "th"):
            stack.append((" ", handed))
        children = list(node.iter(include_text=True))
        stack += [(child, inherited) for child in reversed(children)]


def _style(node: LexborNode, from_sheet: str) -> str:
    own = node.attributes.get("style") or ""
    return f"{from_sheet};{_plain(own)}" if from_sheet else _plain(own)


def _plain(style: str) -> str:
    """Declarations in lower case, without comments, escapes and spaces around their signs."""
    text = _COMMENT.sub("", style).lower()
    text = re.sub(r"\\([0-9a-f]{1,6})\s?", _unescaped, text)
    return re.sub(r"\s*([:;,()])\s*", r"\1", text.strip())


def _unescaped(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code).lower() if 0 < code < 0x80 else " "


def _is_gone(node: LexborNode, style: str) -> bool:
    attributes = node.attributes
    if "hidden" in attributes or (node.tag == "input" and attributes.get("type") == "hidden"):
        return True
    return bool(_GONE.search(style) or (_NO_SIZE.search(style) and _CLIPPED.search(style)))


def _handed_down(style: str, handed: _Inherited) -> _Inherited:
    if not style:
        return handed
    sizes = _FONT.findall(style) or _SHORT_FONT.findall(style)
    if sizes:
        size = sizes[-1].strip()
        if _TINY.fullmatch(size):
            handed = replace(handed, is_tiny=True)
        elif not _RELATIVE.fullmatch(size):
            handed = replace(handed, is_tiny=False)
    if shown := _VISIBILITY.findall(style):
        handed = replace(handed, is_invisible=shown[-1] in ("hidden", "collapse"))
    if colors := _COLOR.findall(style):
        handed = replace(handed, is_transparent=bool(colors[-1]))
    return handed


def _hiding_rules(tree: LexborHTMLParser) -> Iterator[tuple[LexborNode, str]]:
    """The elements that a style sheet could hide, with its declarations."""
    left = MOST_HIDDEN
    for sheet in tree.css("style"):
        for selector, declarations in _rules(_COMMENT.sub("", sheet.text() or "")):
            style = _plain(declarations)
            if not _hides(style):
                continue
            found = _selected(tree, selector)
            left -= len(found) + 1
            if left < 0:
                raise ValueError("its style sheets hide more than could be looked at")
            yield from ((node, style) for node in found)


def _rules(css: str) -> Iterator[tuple[str, str]]:
    """Selectors and declarations that always hold.

    Rules under a condition (`@media (max-width: ...)`) are left out: mails hide their other layout by them.
    """
    before, heads, conditions = "", [], 0
    for token in re.split("([{}])", css):
        if token == "{":
            heads.append(before.rpartition(";")[2].strip())
            conditions += _is_condition(heads[-1])
        elif token == "}" and heads:
            head = heads.pop()
            conditions -= _is_condition(head)
            if not conditions and not head.startswith("@"):
                yield head, before
        before = "" if token in "{}" else token


def _is_condition(head: str) -> bool:
    return head.startswith("@") and "(" in head


def _hides(style: str) -> bool:
    is_inherited = not _handed_down(style, _Inherited()).is_seen
    return is_inherited or bool(_GONE.search(style) or (_NO_SIZE.search(style) and _CLIPPED.search(style)))


def _selected(tree: LexborHTMLParser, selector: str) -> list[LexborNode]:
    try:
        return tree.css(selector)
    except (SelectolaxError, ValueError):
        return []
