"""Links of a gateway: nothing but this gateway is ever asked, and a ticket is not shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.policy.links import MAX_LINK, local_link
from openclaw_client.policy.urls import parse_url

MEDIA = "/api/chat/media/outgoing/agent%3Amain%3Ax/1/full?mediaTicket=v1.a-b_c"


@pytest.mark.parametrize(
    ("url", "link", "path"),
    [
        ("ws://127.0.0.1:1", MEDIA, MEDIA),
        ("wss://h/gw", MEDIA, f"/gw{MEDIA}"),
        ("wss://h/gw/", MEDIA, f"/gw{MEDIA}"),
        ("wss://h/gw", f"/gw{MEDIA}", f"/gw{MEDIA}"),
        ("wss://h/gw", f"/gw2{MEDIA}", f"/gw/gw2{MEDIA}"),
        ("wss://h/gw?token=secret", "/x", "/gw/x"),
        ("wss://h", "/a/..b/c.", "/a/..b/c."),
        ("wss://h", "/a?b=/../c", "/a?b=/../c"),
    ],
)
def test_the_path_that_is_asked_for(url: str, link: str, path: str) -> None:
    assert local_link(parse_url(url), link) == path


@pytest.mark.parametrize(
    "link",
    [
        *("", "x", "http://h/x", "https://h/x", "//evil.example/x", "/\\evil.example/x", "\\\\evil.example"),
        *("/a/../b", "/..", "/.", "/a/%2e%2E/b", "/a/%252e%252e/b", "/a/..%2fb", "/a/..%5cb", "/a\\b"),
        *("/x y", "/x\r\nHost: evil.example", "/x\n", "/x\x00", "/ü", "/x#y", "/" + "x" * MAX_LINK, None, 5, ["/x"]),
    ],
)
def test_a_link_that_may_lead_elsewhere(link: object) -> None:
    assert local_link(parse_url("wss://h/gw"), link) is None


@given(st.text(max_size=60), st.sampled_from(["wss://h", "wss://h/gw", "wss://h/a/b/"]))
def test_whatever_it_says_the_request_line_stays_one(link: str, url: str) -> None:
    path = local_link(parse_url(url), link)
    assert path is None or (path.isascii() and path.isprintable() and " " not in path and path[:2] not in ("//", "/\\"))


def test_a_ticket_is_not_shown() -> None:
    link = local_link(parse_url("ws://127.0.0.1"), MEDIA)
    assert "v1." not in repr(link)
    assert str(link) == MEDIA
