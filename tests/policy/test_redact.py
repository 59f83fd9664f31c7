"""A client's own secrets in what a gateway says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from openclaw_client.errors.peer_text import SHOWN
from openclaw_client.policy.redact import LONGEST, MASK, MAX_DEPTH, MAX_VALUES, Redactor
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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /api/chat/media/outgoing/x/1/full?mediaTicket=v1.a-b_c.d HTTP", f"?mediaTicket={MASK} HTTP"),
        ("/x?mediaTicket=abc&y=1", f"/x?mediaTicket={MASK}&y=1"),
        ("see /api/artifacts/download/conn/abc_d-e.", f"see /api/artifacts/download/{MASK}"),
    ],
)
def test_a_link_that_opens_a_file_is_none_of_the_words(text: str, shown: str) -> None:
    assert Redactor().text(text).endswith(shown)
    assert Redactor().frame(msgspec.json.encode({"payload": {"url": text}})).count(MASK) == 1
    assert Redactor().value({"url": [text]})["url"][0].endswith(shown)


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


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 800])
def test_what_is_nested_deeper_than_anybody_reads_is_left_out(depth: int) -> None:
    lists = json.loads("[" * depth + "5" + "]" * depth)
    kept = "[" * min(depth, MAX_DEPTH) + ("5" if depth <= MAX_DEPTH else f'"{MASK}"') + "]" * min(depth, MAX_DEPTH)
    redactor = Redactor([LONG])
    assert redactor.error(ErrorShape(details=lists)).details == json.loads(kept)
    assert redactor.frame(json.dumps(lists).encode()) == kept
    payload = redactor.payload(msgspec.Raw(json.dumps(lists).encode()))
    assert msgspec.json.decode(payload) == json.loads(kept)


def test_of_very_many_values_the_first_are_kept() -> None:
    many = {"first": list(range(MAX_VALUES - 10)), "second": list(range(20)), "third": [[1]]}
    kept = Redactor().value(many)
    assert len(kept["first"]) == MAX_VALUES - 10
    assert kept["second"] == list(range(7))
    assert kept["third"] == []


def test_nothing_in_an_error_steers_a_terminal() -> None:
    error = ErrorShape(
        "A\x1b[2J", "no \x1b]0;t\x07\nforged", {"reason": "\x9b2J", "\u202e": ["a\n\x07b"], "text": "x" * 5000}
    )
    shown = Redactor().error(error)
    assert (shown.code, shown.message) == ("A[2J", "no ]0;t forged")
    assert shown.details == {"reason": "2J", "": ["a\nb"], "text": "x" * 5000}
    assert len(Redactor().text("x" * 5000)) < 2 * SHOWN


def test_a_secret_that_is_broken_up_by_what_is_left_out() -> None:
    assert Redactor([LONG]).text(f"{LONG[:5]}\x00{LONG[5:]}") == MASK


def test_a_logged_frame_shows_what_steers_as_escapes() -> None:
    assert Redactor().frame('{"a":"\x9b2J\u202e\\n"}'.encode()) == '{"a":"\\u009b2J\\u202e\\n"}'


def test_of_a_very_long_frame_the_short_parts_are_logged() -> None:
    frame = {"type": "res", "id": "7", "payload": {"text": "x" * LONGEST}, "error": {"token": "a"}}
    shown = {"type": "res", "id": "7", "payload": f"… ({LONGEST + 11} bytes)", "error": {"token": MASK}}
    assert json.loads(Redactor().frame(json.dumps(frame, separators=(",", ":")).encode())) == shown
    assert bytes(Redactor().payload(msgspec.Raw(json.dumps(frame).encode()))) == b""


def test_what_is_no_word_of_the_protocol_in_its_place() -> None:
    assert Redactor([LONG]).identifier(None) is None
    assert Redactor([LONG]).identifier([LONG]) == [MASK]
