"""Text of a model as Markdown on a terminal, of which no word is missing.

What a browser keeps out of sight stands on the screen: HTML as it is written, the address behind a link, the first line
of a listing. A block that would lose a letter is shown as it is written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, ListElement, ListItem, Markdown, Paragraph, TableElement
from rich.table import Table
from rich.text import Text

from openclaw_client.errors.peer_text import harmless, one_line

INDENT = 4
"""Columns of a terminal that one level of a quotation or a list takes at most."""
COLUMN = 6
"""Columns of a terminal below which a table's column, with the space between two, breaks every word."""

_LINE = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")
"""Between two lines, as Markdown has them: `str.splitlines` knows other ends, too."""
_QUIET = {"em", "strong"}


class _Parser(MarkdownIt):
    """Addresses stay as they are written."""

    def normalizeLink(self, url: str) -> str:  # noqa: N802 - the parser's name
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802 - the parser's name
        return link


# What Markdown leaves out of sight by these rules are words here: `List<String>`, `<details>`, `&lt;`, `[1]: https://…`.
_PARSER = _Parser().enable(["strikethrough", "table"]).disable(["html_inline", "html_block", "entity", "reference"])


def markdown(text: str) -> Markdown:
    """Text of a model: its Markdown, and nothing that steers the terminal.

    A line end stays one, as in every chat: the gateway's own answers (/status) are lists of lines.
    """
    return _WholeMarkdown(harmless(text))


def finished_length(text: str) -> int:
    """How many characters of a growing Markdown text belong to blocks that further text cannot change."""
    starts = [token.map[0] for token in _PARSER.parse(text) if token.level == 0 and token.map and token.nesting >= 0]
    if len(starts) < 2:
        return 0
    return sum(len(line) for line in _LINE.split(text)[: starts[-1]])


class _WholeMarkdown(Markdown):
    """Rich's Markdown of which nothing is missing on the screen."""

    def __init__(self, text: str) -> None:
        super().__init__("")
        self.markup = text
        lines = text.split("\n")
        self.parsed = [token for block in _blocks(_PARSER.parse(text)) for token in _shown(block, lines)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        deepest = max((token.level for token in self.parsed), default=0)
        if (deepest + 1) * INDENT > options.max_width:
            # There is no room left of the indentation.
            yield from _lines(Text(self.markup))
        else:
            yield from super().__rich_console__(console, options)


class _Paragraph(Paragraph):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = self.justify
        yield from _lines(self.text)


class _Listing(CodeBlock):
    """Its first line tells the language, and often the file."""

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> _Listing:
        listing = cls((token.info or "").partition(" ")[0] or "text", markdown.code_theme)
        listing.info = token.info.strip()
        return listing

    info = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.info:
            yield Text(self.info, style="dim")
        yield from super().__rich_console__(console, options)


class _Item(ListItem):
    number = ""

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> _Item:  # noqa: ARG003 - rich's signature
        item = cls()
        item.number = token.info
        return item


class _List(ListElement):
    """Numbers that go up are shown as they are written: a reply that skips some means it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        numbers = [int(number) for item in self.items if (number := getattr(item, "number", "")).isdecimal()]
        if len(numbers) < len(self.items) or any(b <= a for a, b in pairwise(numbers)):
            yield from super().__rich_console__(console, options)
            return
        for item, number in zip(self.items, numbers, strict=True):
            yield from item.render_number(console, options, number, numbers[-1])


class _Table(TableElement):
    """No cell is cut, and one that has too many columns for the terminal is lines."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        head = [cell.content for cell in self.header.row.cells] if self.header and self.header.row else []
        rows = [[cell.content for cell in row.cells] for row in self.body.rows] if self.body else []
        if len(head) * COLUMN > options.max_width:
            yield from (Text(" | ").join(row) for row in [head, *rows])
            return
        # rich 13 has no styles for tables.
        border = console.get_style("markdown.table.border", default="cyan")
        header = console.get_style("markdown.table.header", default="cyan")
        table = Table(box=box.SIMPLE, pad_edge=False, style=border, collapse_padding=True)
        for cell in head:
            heading = cell.copy()
            heading.stylize(header)
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*row)
        yield table


_WholeMarkdown.elements = {
    **Markdown.elements,
    "fence": _Listing,
    "paragraph_open": _Paragraph,
    "list_item_open": _Item,
    "ordered_list_open": _List,
    "table_open": _Table,
}


def _lines(text: Text) -> Iterator[Text]:
    """Its lines, each by itself: of one that has many, rich copies the rest at every line."""
    yield from text.split(allow_blank=True)


def _blocks(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The tokens of each block that is in no other."""
    block: list[Token] = []
    for token in tokens:
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield block
            block = []


def _shown(block: list[Token], lines: Sequence[str]) -> list[Token]:
    """The block's tokens for the screen, or its source where a letter of that would be missing."""
    begin, end = block[0].map or (0, 0)
    source = lines[begin:end]
    for token in block:
        if token.children:
            token.children = list(_inline(token.children))
    return _as_written(source) if _letters("\n".join(source)) - _letters(*_texts(block)) else block


def _inline(tokens: Sequence[Token]) -> Iterator[Token]:
    """The same with what is out of sight in a browser as text."""
    kept = _kept_marks(tokens)
    opened: list[tuple[Token, int]] = []
    said: list[str] = []
    for index, token in enumerate(tokens):
        if token.type == "softbreak":
            yield _token("hardbreak")
        elif token.type == "image":
            yield _text(f"🌆 {token.content}{_address(token, token.content, 'src')}")
        elif token.type == "link_open":
            opened.append((token, len(said)))
            yield token
        elif token.type == "link_close":
            link, start = opened.pop()
            yield _text(_address(link, "".join(said[start:]), "href"))
            yield token
        elif index in kept:
            yield from (token, _text(token.markup)) if token.nesting == 1 else (_text(token.markup), token)
        else:
            yield token
        said.append(token.content)


def _kept_marks(tokens: Sequence[Token]) -> set[int]:
    """Where the marks of an emphasis stand that may be meant as characters: `__init__`, `2*3*4`."""
    kept: set[int] = set()
    opened: list[int] = []
    for index, token in enumerate(tokens):
        if token.tag in _QUIET and token.nesting == 1:
            opened.append(index)
        elif token.tag in _QUIET:
            begin = opened.pop()
            before = tokens[begin - 1].content[-1:] if begin else ""
            after = tokens[index + 1].content[:1] if index + 1 < len(tokens) else ""
            if "_" in token.markup or _is_letter(before) or _is_letter(after):
                kept |= {begin, index}
    return kept


def _is_letter(char: str) -> bool:
    # ASCII: scripts that write without spaces set their emphasis within the line, too.
    return char.isascii() and char.isalnum()


def _address(token: Token, said: str, attribute: str) -> str:
    """What stands behind a link's words in brackets; nothing where the words are the address."""
    url, title = one_line(str(token.attrs.get(attribute, ""))), one_line(str(token.attrs.get("title", "")))
    where = url
    if ":" in url and said in (url, url.removeprefix("mailto:")):
        where = ""
        if token.markup != "autolink":
            # Written twice, and once is enough: `_texts` counts it all the same.
            token.meta["same"] = url
    known = " ".join(part for part in (where, f'"{title}"' if title else "") if part)
    return f" ({known})" if known else ""


def _as_written(lines: Sequence[str]) -> list[Token]:
    inline = _token("inline")
    inline.children = []
    for line in lines:
        inline.children += [_text(line), _token("hardbreak")]
    inline.children = inline.children[:-1]
    return [Token("paragraph_open", "p", 1), inline, Token("paragraph_close", "p", -1)]


def _texts(tokens: Sequence[Token]) -> Iterator[str]:
    """What of the tokens is on the screen."""
    for token in tokens:
        if token.type in ("fence", "list_item_open"):
            yield token.info
        yield str(token.meta.get("same", ""))
        if token.children is not None:
            yield from _texts(token.children)
        else:
            yield token.content


def _letters(*texts: str) -> Counter[str]:
    return Counter(char for text in texts for char in text if char.isalnum())


def _text(content: str) -> Token:
    return _token("text", content)


def _token(kind: str, content: str = "") -> Token:
    return Token(kind, "br" if kind == "hardbreak" else "", 0, content=content)
