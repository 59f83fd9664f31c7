"""Long texts of every kind, for what has to take time in their length and not in the square of it."""

from __future__ import annotations

from collections.abc import Callable

Text = Callable[[int], str]
"""A text of about so many characters."""

TOO_FAST = 8.0
"""How many times as long a text of four times the length may take, beside noise: four times where all is well, sixteen
times in the square."""
TRIES = 3
"""A busy machine makes one measurement long, hardly three."""


def again(piece: str) -> Text:
    return lambda length: piece * (length // len(piece))


def growth(took: Callable[[str], float], text: Text, length: int, noise: float, hopeless: float) -> str | None:
    """What a quarter of the length took and what all of it did, where that grows faster than the text does.

    took: measures one text, in any unit. noise: what all of it may take in any case. hopeless: what is not tried again.
    """
    found = None
    for _ in range(TRIES):
        small, large = took(text(length // 4)), took(text(length))
        if large <= TOO_FAST * small + noise:
            return None
        found = f"{small:.2f}, and {large:.2f} for four times the length"
        if large > hopeless:
            break
    return found


CHARACTERS = "#*_`[]<>|-~()!\\&:+=\n \ta1"
PIECES = (
    "a b ", "*a ", "**a ", "_a ", "~~a ", "`a ", "*a*", "`a`", "[a", "[a](", "[](", "[a](b)", "![", "![a](b", "<a ",
    "<!-- ", "&a;", "https://a.b ", "http://,", "<https://a> ", "# ", "> ", "- ", "1. ", "> - ", "| ", "|-", "*_",
    "a**", "a\n", "a\n\n", "a  \n", "a\\\n", "# a\n", "> a\n", "- a\n", "- a\n\n", "  - a\n", "1. a\n", "---\n",
    "```\n", "~~~\n", "|a|\n", "|a|\n|-|\n", "[a]: b\n", "<a>\n",
)  # fmt: skip
STRUCTURES: dict[str, Text] = {
    "hashes in a heading": lambda length: f"# {'#' * length}x",
    "spaces in a heading": lambda length: f"# a{' ' * length}#",
    "spaces in an item": lambda length: f"-{' ' * length}a",
    "spaces at an end": lambda length: f"a{' ' * length}\nb",
    "spaces in a row": lambda length: f"|{' ' * length}a",
    "a rule that is none": lambda length: f"{'- ' * (length // 2)}a",
    "a divider that is none": lambda length: f"|a|\n|{'-|' * (length // 2)}a",
    "columns": lambda length: f"|{'a|' * (length // 4)}\n|{'-|' * (length // 4)}\n",
    "cells": lambda length: f"|a|\n|-|\n{'|' * length}\n",
    "rows": lambda length: "|a|\n|-|\n" + "||\n" * (length // 3),
    "wide rows": lambda length: f"|a|\n|-|\n{'||' * 40}\n" + "||\n" * (length // 3),
    "a listing": lambda length: "```\n" + "a\n" * (length // 2),
    "ticks": lambda length: f"{'`' * length}a`",
    "ticks of all lengths": lambda length: " ".join("`" * number for number in range(int((2 * length) ** 0.5))),
    "lists within lists": lambda length: "\n".join(f"{' ' * depth}- a" for depth in range(int((2 * length) ** 0.5))),
    "deep quotes": lambda length: "\n".join(f"{'>' * 100} a" for _ in range(length // 100)),
    "emphasis in each other": lambda length: f"{'*' * (length // 2)}a{'*' * (length // 2)}",
    "brackets in each other": lambda length: f"{'[' * (length // 2)}a{']' * (length // 2)}",
}
