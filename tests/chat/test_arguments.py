"""Text in another encoding is named before anything is sent, and no reason to leave a file behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openclaw_client import Attachment
from openclaw_client.chat.arguments import chat_request, inject_params
from openclaw_client.errors import UsageError

LATIN_1 = "caf\udce9"
"""What Python makes of "café" in Latin-1 where it expects UTF-8."""


def test_text_in_another_encoding_is_named() -> None:
    with pytest.raises(UsageError, match=r"the message holds bytes of another encoding.*nothing was sent"):
        chat_request("main", LATIN_1, None, None, "wait", {})
    with pytest.raises(UsageError, match="the idempotency key holds bytes of another encoding"):
        chat_request("main", "text", None, LATIN_1, "wait", {})
    with pytest.raises(UsageError, match="the label holds bytes of another encoding"):
        inject_params("main", "text", LATIN_1)


def test_a_file_whose_name_is_in_another_encoding_can_be_sent(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")
    Path(path).write_bytes(b"the content")
    sent = Attachment.from_path(path).wire()
    assert (sent["fileName"], sent["mimeType"]) == ("caf?.txt", "text/plain")
    assert sent["content"] == "dGhlIGNvbnRlbnQ="
