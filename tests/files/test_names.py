"""Names of files: whatever a model calls one, a folder holds it, and nothing outside of the folder is meant."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openclaw_client.files.names import MAX_NAME_BYTES, clean_name, numbered


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("report.pdf", "report.pdf"),
        ("Bericht für März.pdf", "Bericht für März.pdf"),
        ("報告.pdf", "報告.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\x\\y.txt", "y.txt"),
        ("/", "file"),
        ("..", "file"),
        ("", "file"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("~root", "root"),
        ("a:b.txt", "a_b.txt"),
        ("a\r\nb\tc.txt", "a b c.txt"),
        ("a\x00b.txt", "ab.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\u200bb\ud800.txt", "ab.txt"),
        ("what?.txt", "what_.txt"),
        ("ends with dots. . .", "ends with dots"),
        ("CON", "_CON"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("com1 .txt", "_com1 .txt"),
        ("LPT¹", "_LPT¹"),
        ("console.txt", "console.txt"),
        ("e\u0301.txt", "é.txt"),
        ("x" * 500 + ".pdf", "x" * (MAX_NAME_BYTES - 4) + ".pdf"),
        ("ü" * 500 + ".pdf", "ü" * ((MAX_NAME_BYTES - 4) // 2) + ".pdf"),
        ("x." + "y" * 500, "x." + "y" * (MAX_NAME_BYTES - 2)),
    ],
)
def test_a_name_for_a_folder(name: str, clean: str) -> None:
    assert clean_name(name) == clean


@pytest.mark.parametrize(
    ("name", "mime_type", "clean"),
    [
        ("image 1", "image/png", "image 1.png"),
        ("image 1.jpeg", "image/png", "image 1.jpeg"),
        ("", "image/webp", "file.webp"),
        ("notes", "text/plain", "notes"),
    ],
)
def test_a_picture_gets_an_ending(name: str, mime_type: str, clean: str) -> None:
    assert clean_name(name, mime_type) == clean


@given(st.text(max_size=300), st.sampled_from(["", "image/png"]))
@example("x" * 300, "image/png")
@example("\u1e9b\u0323" * 100, "")
def test_whatever_it_is_called(name: str, mime_type: str) -> None:
    clean = clean_name(name, mime_type)
    assert clean not in ("", ".", "..")
    assert os.path.basename(clean) == clean
    assert not any(one in clean for one in '/\\:*?"<>|\n\t')
    assert clean[0] not in " .-~"
    assert clean[-1] not in " ."
    assert not any(unicodedata.category(one) in ("Cc", "Cf", "Cs") for one in clean)
    assert len(clean.encode()) <= MAX_NAME_BYTES + 1
    assert clean_name(clean, mime_type) == clean


def test_numbers() -> None:
    assert [numbered("a.tar.pdf", number) for number in (0, 1, 12)] == ["a.tar.pdf", "a.tar (1).pdf", "a.tar (12).pdf"]
    assert numbered("notes", 1) == "notes (1)"
