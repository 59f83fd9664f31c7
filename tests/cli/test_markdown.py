"""No word of a reply is missing on a terminal, whatever Markdown makes of it."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from openclaw_client.cli.markdown import finished_length, markdown

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;.*?\x1b\\", re.DOTALL)
NUMBER = re.compile(r"(?m)^[ >*+-]*\d+[.)]")
"""Where Markdown may take digits for the number of a list's item, and count by itself."""


def shown(text: str, width: int = 200, *, colours: bool = False) -> str:
    """What a person reads on a terminal of so many columns."""
    screen = io.StringIO()
    console = Console(
        file=screen, force_terminal=True, width=width, color_system="truecolor" if colours else None, highlight=False
    )
    console.print(markdown(text))
    return _ESCAPES.sub("", screen.getvalue())


def letters(text: str) -> Counter[str]:
    return Counter(char for char in text if char.isalnum())


def visible(text: str) -> str:
    return "".join(text.split())


WRITTEN = [
    "A `List<String>` and a List<String> and Map<K, V>",
    "git clone <url> <folder>",
    "<details>\n<summary>More</summary>\n\nhidden words\n\n</details>",
    "<!-- a comment --> and <kbd>Ctrl</kbd>",
    "x &lt; y &amp;&amp; &nbsp; z",
    "[1]: https://example.org/one\n\nSee [1].",
    "the method __init__ and _private_ and 2*3*4 = 24, 2**3**4",
    "[words](https://example.org/Größe?a=1&copy=2)",
    '[words](https://example.org "the title")',
    '![an image](https://example.org/a.png "its title")',
    "```python title=main.py\nprint(1)\n```",
    "1. one\n3. three\n10. ten",
    "| a | b |\n|---|---|\n| 1 | 2 | extra |",
    "- an item with ![an image](a.png) and more\n- <b>bold</b>",
    "> " * 30 + "deep",
    "- " * 30 + "deep",
    "line\x0cwith\u2028odd ends\n\nand more",
]


@pytest.mark.parametrize("text", WRITTEN)
@pytest.mark.parametrize("width", [200, 40])
def test_no_word_is_missing(text: str, width: int) -> None:
    assert not letters(text) - letters(shown(text, width))


@pytest.mark.parametrize(
    "text",
    ["List<String> Map<K, V>", "git clone <url>", "<details>", "x &lt; y", "__init__ and _a_", "2*3*4 and a**b**c"],
)
def test_what_only_looks_like_markup_stays_as_it_is(text: str) -> None:
    assert visible(shown(text)) == visible(text)


WORDS = st.text("abcxyzÄß語01", min_size=1, max_size=8)
LONG_WORDS = st.text("abcxyz", min_size=20, max_size=40)
ANGLED = st.builds("{}<{}>".format, st.sampled_from(["", "/", "List", "a "]), WORDS)


@given(st.lists(WORDS | ANGLED | st.builds("<{}>".format, WORDS) | st.just("<!-- c -->"), min_size=1, max_size=12))
def test_no_character_of_words_in_angle_brackets_is_missing(words: list[str]) -> None:
    text = "w " + " ".join(words)
    assert visible(shown(text)) == visible(text)


LINES = (
    "{}", "**{}**", "_{}_", "***{}*** {}", "`{}`", "`` {}`{} ``", "~~{}~~", "\\{}", "\\*{}\\*", "&{};", "&#65;{}",
    "{}&amp;{}", "[{}]({})", '[{}]({} "{}")', "[{}](<{}>)", "![{}]({})", '![{}]({} "{}")', "[![{}]({})]({})",
    "[{}][{}]", "[{}][]", "[^{}]", "<{}>", "<{} {}='{}'>", "</{}>", "<!-- {} -->", "<?{}?>", "<![CDATA[{}]]>", "<https://{}>",
    "<{}@{}.example>", "https://{}.example/{}", "{}<{}>", "$\\{}$", "[ ] {}", "{}  \n{}", "{}\\\n{}", "{}\n{}", " ",
)  # fmt: skip
BLOCKS = (
    "{}\n", "# {}\n", "### {} ###\n", "{}\n===\n", "{}\n---\n", "- {}\n", "* {}\n  {}\n", "- {}\n\n  {}\n",
    "- [x] {}\n", "1. {}\n", "7) {}\n2) {}\n", "> {}\n", "> {}\n{}\n", "```\n{}\n```\n", "```{} {}\n{}\n```\n",
    "~~~ {}\n{}\n", "    {}\n", "\t{}\n", "[{}]: {}\n", "[{}]: <{}> '{}'\n", "[^{}]: {}\n", "<div>{}\n\n{}</div>\n",
    "<!-- {}\n\n{} -->\n", "<{}\n>{}\n", "<script>{}\n</script>{}\n", "| {} | {} |\n|---|---|\n| {} | {} | {} |\n",
    "|{}|\n|:-:|\n|{} \\| {}|\n{}\n", "|{}|{}|\n|-|\n", "---\n", "***\n", "\n",
)  # fmt: skip
"""All kinds of Markdown, and what only looks like some; a word belongs where the braces are."""


def _within(begin: str, others: str, source: str) -> str:
    """A list's item or a quotation of it."""
    return begin + source.replace("\n", f"\n{others}") + "\n"


_line = st.lists(st.sampled_from(LINES), min_size=1, max_size=4).map(" ".join)
_block = st.one_of(
    st.sampled_from(BLOCKS),
    _line.map(lambda line: f"{line}\n"),
    st.builds(lambda block, line: block.replace("{}", line, 1), st.sampled_from(BLOCKS), _line),
)
_page = st.lists(st.builds("{}{}".format, _block, st.sampled_from(["", "", "\n"])), max_size=5).map("".join)
FORMS = st.recursive(
    _page,
    lambda inner: st.lists(
        st.builds(
            lambda marks, source: _within(*marks, source),
            st.sampled_from([("> ", "> "), ("- ", "  "), ("1. ", "   "), ("> - ", ">   "), ("- ", "")]),
            inner,
        ),
        min_size=1,
        max_size=2,
    ).map("".join),
    max_leaves=4,
)


def filled(form: str, words: Iterator[str]) -> str:
    return "".join(part + next(words, "") for part in form.split("{}")[:-1]) + form.split("{}")[-1]


PIECES = st.builds(lambda form, words: filled(form, cycle(words)), FORMS, st.lists(WORDS, min_size=1, max_size=8))


def names() -> Iterator[str]:
    """Words of which none is within another, nor in two that stand beside each other."""
    return (f"Q{first}{second}Z" for first, second in product("abcdefghijklmnop", repeat=2))


@given(FORMS, st.booleans())
@example("[{}]: {}\n\nSee [{}].", False)
def test_no_word_of_any_markdown_is_missing(form: str, colours: bool) -> None:
    text = filled(form, names())
    seen = visible(shown(text, 1_000, colours=colours))
    assert [word for word in re.findall(r"Q[a-p]{2}Z", text) if word not in seen] == []


@given(PIECES, st.sampled_from([10, 20, 80, 200]), st.booleans())
def test_no_letter_of_any_markdown_is_missing(text: str, width: int, colours: bool) -> None:
    missing = letters(text) - letters(shown(text, width, colours=colours))
    assert not {char: count for char, count in missing.items() if not char.isdecimal() or not NUMBER.search(text)}


def _table(rows: list[list[str]]) -> str:
    first, *rest = ("|" + "".join(f" {cell} |" for cell in row) for row in rows)
    return "\n".join([first, "|" + "---|" * len(rows[0]), *rest])


TABLES = st.lists(st.lists(WORDS | LONG_WORDS, min_size=1, max_size=8), min_size=1, max_size=4).map(_table)


@given(TABLES, st.sampled_from([10, 20, 40, 200]))
def test_no_letter_of_any_table_is_missing(text: str, width: int) -> None:
    assert not letters(text) - letters(shown(text, width))


@given(st.text("ab1 \n\t#*_`~<>[]()!|-+.:&;\\\"'=é語", max_size=80), st.sampled_from([10, 80]))
def test_no_letter_of_any_text_is_missing(text: str, width: int) -> None:
    missing = letters(text) - letters(shown(text, width))
    assert not {char: count for char, count in missing.items() if not char.isdecimal() or not NUMBER.search(text)}


@given(PIECES)
def test_what_is_left_on_the_screen_and_the_rest_are_the_whole(text: str) -> None:
    length = finished_length(text)
    assert not letters(text) - letters(shown(text[:length])) - letters(shown(text[length:])) or NUMBER.search(text)


def test_the_address_of_a_link_is_on_the_screen() -> None:
    assert "the words (https://example.org/a)" in shown("[the words](https://example.org/a)", colours=True)


@pytest.mark.parametrize(
    "text", ["<https://example.org>", "[https://example.org](https://example.org)", "<a@b.example>"]
)
def test_an_address_that_is_its_own_words_is_there_once(text: str) -> None:
    assert "(" not in shown(text)


def test_numbers_that_skip_are_as_written_and_equal_ones_are_counted() -> None:
    assert shown("2. b\n5. e\n").split() == ["2", "b", "5", "e"]
    assert shown("1. a\n1. b\n").split() == ["1", "a", "2", "b"]
