"""What a model called a file, made into a name that a folder of this machine can hold and a person can read. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_NAME_BYTES: Final = 150
"""Bytes of a name: half of what file systems take, with room for a number and for a temporary file's name."""
MAX_ENDING: Final = 20
"""Characters of an ending that is kept where a name is cut; longer ones are none."""
NAMELESS: Final = "file"

_SEPARATORS = re.compile(r"[/\\]")
_RESERVED = re.compile(r'[<>:"|?*]')
"""What Windows takes in no name; a colon names a stream there."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
"""Control characters, what turns the direction of text or is not seen, halves of characters, and unassigned ones."""
_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])", re.IGNORECASE)
"""What Windows takes for a device, whatever ending follows."""


_ENDINGS: Final = {"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp"}
"""Of pictures, which gateways call "image 1"."""


def clean_name(name: str, mime_type: str = "") -> str:
    """A name without folders, separators, control and direction characters; with no dot, dash or tilde first; no device
    of Windows; at most `MAX_NAME_BYTES` long. "file" where nothing is left. A picture without an ending gets one."""
    last = _SEPARATORS.split(name)[-1]
    seen = "".join(one for one in last if unicodedata.category(one) not in _UNSEEN or one in "\t\n")
    plain = _RESERVED.sub("_", " ".join(unicodedata.normalize("NFC", seen).split()))
    plain = plain.lstrip(" .-~").rstrip(" .") or NAMELESS
    if not _parted(plain)[1]:
        plain += _ENDINGS.get(mime_type, "")
    plain = _cut(plain, MAX_NAME_BYTES)
    return f"_{plain}" if _DEVICES.fullmatch(plain.partition(".")[0].rstrip()) else plain


def numbered(name: str, number: int) -> str:
    """The name for one of several: "report.pdf", "report (1).pdf", …"""
    stem, ending = _parted(name)
    return f"{stem} ({number}){ending}" if number else name


def _cut(name: str, limit: int) -> str:
    if len(name.encode()) <= limit:
        return name
    stem, ending = _parted(name)
    return stem.encode()[: limit - len(ending.encode())].decode(errors="ignore").rstrip(" .") + ending


def _parted(name: str) -> tuple[str, str]:
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if stem and ending and len(ending) < MAX_ENDING else (name, "")
