"""What goes to stdout: JSON lines, and text that cannot steer a terminal."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import sys
from collections.abc import Mapping
from typing import Any

# A model's answer must not move the cursor, retitle the window or fill the clipboard. Tabs and line ends stay.
_CONTROLS = {code: None for code in (*range(32), 127, *range(128, 160)) if chr(code) not in "\n\t"}


def prepare_streams(*, json: bool) -> None:
    """Make stdout take every character: JSON is UTF-8 whatever the locale, text shows "?" for what it cannot."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        if json:
            # A lone surrogate comes out as \udXXX, which is how JSON spells it.
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
        else:
            sys.stdout.reconfigure(errors="replace")


def printable(text: str) -> str:
    """The text without control characters."""
    return text.translate(_CONTROLS)


def one_line(text: str) -> str:
    """The text without control characters and line ends."""
    return " ".join(printable(text).split())


def write(text: str) -> None:
    """Text to stdout, at once; as it is where a program reads it, harmless where a person does."""
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def json_line(kind: str, fields: Mapping[str, Any]) -> None:
    """One object, `type` first, on a line of its own."""
    sys.stdout.write(encode({"type": kind, **fields}) + "\n")
    sys.stdout.flush()


def encode(value: Any, *, indent: int | None = None) -> str:
    """JSON in the characters that it means; bytes as base64, everything else unknown as its text."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_encodable)


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass but `type`."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.name != "type"}


def _encodable(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = getattr(value, "type", None)
        return fields_of(value) if kind is None else {"type": kind, **fields_of(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)
