"""Text in another encoding is named before anything is sent, and no reason to leave a file behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openclaw_client import Attachment
from openclaw_client.chat import arguments
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


def test_no_random_run_id_looks_like_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(["4000f6ac-4954-4037-8bfc-0123456789ab", "4000f6ac-4954-4037-8bfb-0123456789ab"])
    monkeypatch.setattr(arguments, "uuid4", lambda: next(made))
    assert arguments.new_run_id() == "4000f6ac-4954-4037-8bfb-0123456789ab"


def test_a_chosen_key_is_taken_as_it_is() -> None:
    key = "4000f6ac-4954-4037-8bfc-0123456789ab"
    assert chat_request("main", "hi", None, key, "wait", {}).run_id == key
