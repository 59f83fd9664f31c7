"""Headers of the caller's: what is sent and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_client.errors import UsageError
from openclaw_client.policy.headers import checked_headers

SECRET = "s3cret"


def test_no_headers_are_none() -> None:
    assert checked_headers(None) is None
    assert checked_headers({}) == {}


def test_values_are_trimmed_and_the_caller_s_mapping_is_left_alone() -> None:
    given = {"Authorization": f"Bearer {SECRET}\n", "X-Name": "ein\tWört"}
    assert checked_headers(given) == {"Authorization": f"Bearer {SECRET}", "X-Name": "ein\tWört"}
    assert given["Authorization"].endswith("\n")


@pytest.mark.parametrize(
    ("headers", "complaint"),
    [
        ([f"Authorization: {SECRET}"], "must be a mapping, not list"),
        (f"Authorization: {SECRET}", "must be a mapping, not str"),
        ({f"Authorization: {SECRET}": ""}, "a name that is none of a header"),
        ({f"A\r\nB: {SECRET}": "x"}, "a name that is none of a header"),
        ({"A\n": SECRET}, "a name that is none of a header"),
        ({"": SECRET}, "a name that is none of a header"),
        ({"Ä": SECRET}, "a name that is none of a header"),
        ({b"A": SECRET}, "a name that is none of a header"),
        ({"Connection": SECRET}, "Connection belongs to the WebSocket upgrade"),
        ({"sec-websocket-key": SECRET}, "sec-websocket-key belongs to the WebSocket upgrade"),
        ({"Content-Length": "5"}, "Content-Length belongs to the WebSocket upgrade"),
        ({"A": SECRET.encode()}, "the header A must be text, not bytes"),
        ({"A": None}, "the header A must be text, not NoneType"),
        ({"A": f"{SECRET}\r\nB: c"}, "the header A has a line break"),
        ({"A": f"{SECRET}\n next"}, "the header A has a line break"),
        ({"A": f"{SECRET}\0x"}, "the header A has a line break or another control character"),
        ({"A": f"{SECRET}\udc80"}, "the header A has a line break or another control character"),
    ],
)
def test_what_would_change_the_request_is_refused_and_not_shown(headers: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        checked_headers(headers)
    assert SECRET not in str(caught.value)
    assert caught.value.remedy
