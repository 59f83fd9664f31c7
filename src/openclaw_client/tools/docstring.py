"""What a docstring says for a model: the text, and a line for each parameter (Google style). Pure."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_OF_PARAMETERS: Final = frozenset({"Args", "Arguments", "Parameters", "Keyword Args", "Keyword Arguments"})
_SECTION: Final = re.compile(
    r"(Args|Arguments|Parameters|Keyword Args|Keyword Arguments|Returns?|Yields?|Raises|Attributes):\s*"
)
_ENTRY: Final = re.compile(r"\*{0,2}(\w+)\s*(?:\(.*?\))?\s*:(?:\s+|$)(.*)")
"""`name: text` or `name (type): text`."""


@dataclass(frozen=True, slots=True)
class Docstring:
    """text: what stands before the first section. parameters: the text of each that the sections describe."""

    text: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


def read_docstring(docstring: str | None) -> Docstring:
    lines = inspect.cleandoc(docstring or "").splitlines()
    text: list[str] = []
    parameters: dict[str, str] = {}
    for title, content in _sections(lines):
        if not title:
            text = content
        elif title in _OF_PARAMETERS:
            parameters.update(_entries(content))
    return Docstring("\n".join(text).strip(), parameters)


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each section with its lines; the first has no title. Text that follows a section belongs to none."""
    title, content = "", list[str]()
    for line in lines:
        if found := _SECTION.fullmatch(line):
            yield title, content
            title, content = found[1], []
        else:
            content.append(line)
    yield title, content


def _entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The parameters of a section. What is indented deeper goes on with the one before."""
    name, words = "", list[str]()
    indented = [line for line in lines if line[:1].isspace() or not line]
    for line in textwrap.dedent("\n".join(indented)).splitlines():
        found = None if line[:1].isspace() else _ENTRY.match(line)
        if found:
            if name:
                yield name, " ".join(words)
            name, words = found[1], [found[2].strip()]
        elif line[:1].isspace():
            words.append(line.strip())
    if name:
        yield name, " ".join(words).strip()
