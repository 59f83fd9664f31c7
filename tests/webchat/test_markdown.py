"""The page's Markdown: no word of a message is missing, and its time grows with the length of the message."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import pytest

from tests.long_texts import CHARACTERS, PIECES, STRUCTURES, Text, again, growth
from tests.webchat.browser import Page
from tests.webchat.conftest import OpenPage

pytestmark = pytest.mark.timeout(300)  # a browser that starts on a busy machine, and some hundred long texts

LENGTH = 50_000
"""Characters: of `#` in a heading they took a tab 23 s, in a row of a table over a minute."""
NOISE, HOPELESS = 250.0, 5_000.0
"""Milliseconds; the longest takes a tenth of the second."""
LINE = 2_999
"""Characters of the longest lines that are looked through for emphasis and links."""

_RENDER = """const [texts, done] = [arguments[0], arguments[arguments.length - 1]];
import("/static/markdown.js").then(({ split, render }) => {
  const log = document.querySelector("#log");
  done(texts.map((text) => {
    const root = document.createElement("div");
    root.className = "text";
    log.append(root);
    const begun = performance.now();
    root.append(...split(text).map((source) => render(source)));
    // Laid out, too.
    root.offsetHeight;
    const took = performance.now() - begun;
    const shown = root.textContent;
    root.remove();
    return { took, shown };
  }));
}).catch((error) => done(String(error)));"""


def render(page: Page, *texts: str) -> list[dict[str, Any]]:
    """Of each text what it took in milliseconds, and what is shown."""
    page.driver.set_script_timeout(60)
    answer: Any = page.driver.execute_async_script(_RENDER, texts)
    assert isinstance(answer, list), answer
    return answer


def lines_of(piece: str) -> Text:
    return lambda length: "\n".join([piece * (LINE // len(piece))] * (length // LINE))


BEHIND: dict[str, Text] = STRUCTURES | {
    "quotes in each other": lambda length: f"{'> ' * (length // 5)}a",
    "lists in each other": lambda length: f"{'- ' * (length // 5)}a",
}


def took_too_long(page: Page, text: Text) -> str | None:
    def took(one: str) -> float:
        return float(render(page, one)[0]["took"])

    return growth(took, text, LENGTH, NOISE, HOPELESS)


@pytest.mark.parametrize(
    "texts",
    [
        {repr(piece): again(piece) for piece in (*CHARACTERS, *PIECES)},
        {f"lines of {piece!r}": lines_of(piece) for piece in (*CHARACTERS, *PIECES) if "\n" not in piece},
        BEHIND,
    ],
    ids=["runs", "lines", "behind"],
)
def test_time_grows_with_the_length(texts: dict[str, Text], open_page: OpenPage) -> None:
    page = open_page("ada")
    took = {name: took_too_long(page, text) for name, text in texts.items()}
    assert {name: long for name, long in took.items() if long} == {}


CONSTRUCTS = (
    "plain", "**strong**", "*slanted*", "__init__", "~~struck~~", "`code`", "<b>markup</b>", "List<String>", "a &lt; b",
    "# heading #", "> quoted", ">> twice", "- item\n  - inner", "1. first\n\n   more", "```python title\nprint(x)\n```",
    "```\nnever closed", "```within``` a line", "~~~\nwaves\n~~~", "| head | two |\n|---|---|\n| cell | other | more |",
    "|a|\n|-|", "|row|", "---", "\\*escaped\\*", "[label](javascript:x)", "![image](src)", "[1]: reference",
    "    indented", "setext\n===",
)  # fmt: skip


def letters(text: str) -> Counter[str]:
    return Counter(char for char in text if char.isalpha())


def test_no_word_is_missing(open_page: OpenPage) -> None:
    texts = [
        f"{first}{between}{second}" for first, between, second in product(CONSTRUCTS, ("\n", "\n\n", " "), CONSTRUCTS)
    ]
    shown = (one["shown"] for one in render(open_page("ada"), *texts))
    missing = {text: letters(text) - letters(found) for text, found in zip(texts, shown, strict=True)}
    assert {text: "".join(lost.elements()) for text, lost in missing.items() if lost} == {}


def test_a_table_of_too_many_columns_stays_as_it_is_written(open_page: OpenPage) -> None:
    page, row = open_page("ada"), "|" + "a|" * 101
    text = f"{row}\n|{'-|' * 101}\n{row}"
    assert [one["shown"] for one in render(page, text)] == [text]


def test_code_within_a_line_is_no_listing(open_page: OpenPage) -> None:
    assert [one["shown"] for one in render(open_page("ada"), "```code``` in a line")] == ["code in a line"]
