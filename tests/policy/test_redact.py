"""A client's own secrets in what a gateway says."""

from __future__ import annotations

import msgspec
import pytest

from openclaw_client.policy.redact import MASK, Redactor
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
