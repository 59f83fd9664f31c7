"""What goes to stdout: JSON lines, and text that cannot steer a terminal."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from openclaw_client.errors.peer_text import escaped, harmless


def fill_descriptors() -> None:
    """Put something where stdin, stdout or stderr is closed: the next socket would be taken for it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free one is what a new file gets.
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        # Else print() takes stdout for it.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as the process


def prepare_streams(*, json: bool) -> None:
    """Make stdout take every character: JSON is UTF-8 whatever the locale, text shows "?" for what it cannot."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        if json:
            # A lone surrogate comes out as \udXXX, which is how JSON spells it.
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
        else:
            sys.stdout.reconfigure(errors="replace")


def write(text: str, to: TextIO | None = None) -> None:
    """Text to stdout, at once; as it is where a program reads it, harmless where a person does.

    to: the stdout of before, where something else has been put in its place.
    """
    stdout = to or sys.stdout
    stdout.write(harmless(text) if stdout.isatty() else text)
    stdout.flush()


def json_line(kind: str, fields: Mapping[str, Any], to: TextIO | None = None) -> None:
    """One object, `type` first, on a line of its own. to: see `write`."""
    stdout = to or sys.stdout
    stdout.write(encode({"type": kind, **fields}) + "\n")
    stdout.flush()


def encode(value: Any, *, indent: int | None = None) -> str:
    """JSON in the characters that it means, but for those that steer a terminal, which are written as escapes.

    Bytes are base64, everything else unknown is its text.
    """
    return escaped(json.dumps(value, ensure_ascii=False, indent=indent, default=_encodable))


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
