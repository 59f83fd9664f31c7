"""A client's own secrets in what a gateway says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from openclaw_client.policy.redact import MASK, SHOWN, Redactor
from openclaw_client.wire.frames import ErrorShape

LONG = "a-long-secret-token"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (f"no: {LONG}!", f"no: {MASK}!"),
        ({LONG: [LONG, 1, None, {"x": f"<{LONG}>"}]}, {MASK: [MASK, 1, None, {"x": f"<{MASK}>"}]}),
        ({"code": f"X_{LONG}", "reason": 7}, {"code": f"X_{MASK}", "reason": 7}),
        (5, 5),
    ],
)
def test_secrets_are_taken_out_wherever_they_stand(value: object, shown: object) -> None:
    redactor = Redactor([LONG, None, ""])
    assert redactor.value(value) == shown
    assert msgspec.json.decode(redactor.payload(msgspec.Raw(msgspec.json.encode(value)))) == shown


def test_a_short_secret_does_not_change_the_protocol_s_own_words() -> None:
    redactor = Redactor(["TOKEN"])
    error = ErrorShape("TOKEN", "your TOKEN is wrong", {"code": "AUTH_TOKEN_MISMATCH", "hint": "TOKEN"})
    assert redactor.error(error) == ErrorShape(
        MASK, f"your {MASK} is wrong", {"code": "AUTH_TOKEN_MISMATCH", "hint": MASK}
    )


def test_more_secrets_longest_first_and_none_too_short() -> None:
    assert Redactor(["abc", "long"]).plus("long secret").text("abc long secret long") == f"abc {MASK} {MASK}"
    assert repr(Redactor([LONG])) == "Redactor(1 secrets)"


def test_a_payload_that_is_no_json_is_not_kept() -> None:
    assert bytes(Redactor([LONG]).payload(msgspec.Raw(b"{"))) == b""


@pytest.mark.parametrize(
    ("frame", "shown"),
    [
        ({"auth": {"token": "a", "deviceToken": "b"}}, {"auth": {"token": "…", "deviceToken": "…"}}),
        ({"deviceTokens": ["a", {"role": "x", "token": "b"}]}, {"deviceTokens": ["…", {"role": "x", "token": "…"}]}),
        (
            {"secrets": {"NAME": "a", "more": {"b": "c", "n": 1}}},
            {"secrets": {"NAME": "…", "more": {"b": "…", "n": 1}}},
        ),
        ({"signature": "s", "nonce": "n", "publicKey": "p"}, {"signature": "…", "nonce": "…", "publicKey": "p"}),
        ({"totalTokens": 5, "apiKey": "k", "token": None}, {"totalTokens": 5, "apiKey": "…", "token": None}),
        ({"password": ""}, {"password": ""}),
        ({"sessionKey": "main", "text": "my own-secret-words"}, {"sessionKey": "main", "text": "my …"}),
        (["own-secret-words"], ["…"]),
    ],
)
def test_a_frame_is_shown_without_what_stands_under_telling_keys(frame: Any, shown: Any) -> None:
    line = Redactor(["own-secret-words"]).frame(json.dumps(frame).encode())
    assert json.loads(line) == shown


def test_a_long_frame_is_cut_after_it_was_redacted() -> None:
    # The secret lies across the cut.
    frame = {"a": "x" * (SHOWN - 10) + LONG + "y" * 10}
    line = Redactor([LONG]).frame(json.dumps(frame).encode())
    assert line.startswith('{"a":"xxx')
    assert line.endswith(f"… ({SHOWN + 9} characters)")
    assert LONG[:4] not in line


def test_what_is_no_json_is_counted() -> None:
    assert Redactor().frame(b"\xfftoken") == "6 bytes that are no JSON"
    assert Redactor().frame(b"[" * 100_000) == "100000 bytes that are no JSON"
