"""URLs: what is connected to, what is refused without I/O, and what is shown."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.errors import UsageError
from openclaw_client.policy.urls import DEFAULT_URL, GatewayUrl, is_loopback, is_private, is_proxy, parse_url


@pytest.mark.parametrize(
    ("text", "connected_to"),
    [
        (DEFAULT_URL, "ws://127.0.0.1:18789"),
        (" ws://localhost:18789/ ", "ws://localhost:18789"),
        ("http://127.0.0.1", "ws://127.0.0.1"),
        ("HTTPS://Gateway.Example", "wss://gateway.example"),
        ("wss://gateway.example:443/gw/", "wss://gateway.example/gw/"),
        ("wss://h/a//b//", "wss://h/a//b//"),
        ("ws://127.0.0.1:80", "ws://127.0.0.1"),
        ("wss://gateway.example:80", "wss://gateway.example:80"),
        ("ws://localhost.:1", "ws://localhost:1"),
        ("ws://[::1]:18789/x", "ws://[::1]:18789/x"),
        ("wss://h/a b/ü%20", "wss://h/a%20b/%C3%BC%20"),
        ("wss://h/?a=1&b=two words&c=ü", "wss://h?a=1&b=two%20words&c=%C3%BC"),
        ("wss://h/#fragment", "wss://h"),
        ("wss://bücher.example:1", "wss://bücher.example:1"),
        ("wss://my_gateway-1", "wss://my_gateway-1"),
        ("ws://[fe80::1%eth0]:1", "ws://[fe80::1%eth0]:1"),
    ],
)
def test_a_url_is_brought_into_one_form(text: str, connected_to: str) -> None:
    url = parse_url(text)
    assert url.text == connected_to
    assert parse_url(url.text) == url
    assert url.origin == connected_to.partition("?")[0].rstrip("/")
    assert url.redacted.partition("?")[0] == connected_to.partition("?")[0]


def test_a_slash_at_the_end_makes_no_other_gateway() -> None:
    with_slash, without = parse_url("wss://h/gw/"), parse_url("wss://h/gw")
    assert with_slash.origin == without.origin
    assert with_slash.text != without.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("   ", "empty"),
        (None, "must be text, not NoneType"),
        (b"ws://127.0.0.1", "must be text, not bytes"),
        ("localhost:18789", "must begin with"),
        ("127.0.0.1", "must begin with"),
        ("ftp://localhost", "must begin with"),
        ("ws://", "no usable host"),
        ("ws://./", "no usable host"),
        ("ws://a b/", "no usable host"),
        ("wss://a<b", "no usable host"),
        ("wss://a\\b", "no usable host"),
        ("wss://a..b", "no usable host"),
        (f"wss://{'a' * 64}.example", "no usable host"),
        ("ws://127.0.0.1%x.example", "no usable host"),
        ("ws://localhost%x.example", "no usable host"),
        ("ws://localhost:port", "cannot be read"),
        ("ws://localhost:65536", "cannot be read"),
        ("ws://[::1", "cannot be read"),
        ("ws://localhost/\udcff", "control character"),
        ("ws://127.0.0.1:1\n2", "line break"),
        ("ws://127.0.0.1\t.example", "control character"),
        ("ws://127.0.0.1/a\0", "control character"),
        ("wss://\u2100.example", "cannot be read"),
        ("ws://me@localhost", "user name or password"),
        ("ws://:secret@localhost", "user name or password"),
        ("ws://gateway.example", "in clear"),
        ("ws://8.8.8.8", "in clear"),
        ("ws://[2001:db8::1]", "in clear"),
        ("ws://127.1", "in clear"),
        ("ws://2130706433", "in clear"),
    ],
)
def test_an_unusable_url_is_refused(text: object, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse_url(text)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "ws://user:sesame@localhost",
        "ws://user:sesame@localhost:port",
        "ws://sesame\u2100@localhost",
        "ws://localhost:sesame",
        "ftp://sesame@localhost",
        "ws://gateway.example/?token=sesame",
        "ws://sesame\udcff@localhost",
    ],
)
def test_a_refusal_shows_no_secret_anywhere(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(text)
    # Without the source lines of this file, which hold the secret.
    assert "sesame" not in "".join(traceback.format_exception_only(caught.value)) + repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(("url", "instead"), [("ws://0.0.0.0:18789", "127.0.0.1"), ("ws://[::]:18789", "[::1]")])
@pytest.mark.parametrize("allow", [True, False])
def test_the_address_that_a_gateway_listens_on_is_told_apart(url: str, instead: str, allow: bool) -> None:
    with pytest.raises(UsageError, match="is where a gateway listens") as caught:
        parse_url(url, allow_insecure=allow)
    assert f"ws://{instead}:18789" in caught.value.remedy


@pytest.mark.parametrize(("url", "named"), [("ws://gateway:18789", True), ("ws://8.8.8.8:18789", False)])
def test_the_setting_that_allows_a_name_is_told_where_it_helps(url: str, named: bool) -> None:
    with pytest.raises(UsageError, match="in clear") as caught:
        parse_url(url)
    assert ("OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1" in caught.value.remedy) is named


def test_insecure_names_are_taken_on_request_and_insecure_addresses_never() -> None:
    assert parse_url("ws://gateway.example", allow_insecure=True).text == "ws://gateway.example"
    with pytest.raises(UsageError, match="in clear"):
        parse_url("ws://8.8.8.8", allow_insecure=True)


@pytest.mark.parametrize(
    ("host", "private", "loopback"),
    [
        ("localhost", True, True),
        ("LOCALHOST.", True, True),
        ("127.0.0.1", True, True),
        ("127.9.9.9", True, True),
        ("::1", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("10.1.2.3", True, False),
        ("172.16.0.1", True, False),
        ("172.32.0.1", False, False),
        ("192.168.1.1", True, False),
        ("169.254.1.1", True, False),
        ("100.64.0.1", True, False),
        ("100.128.0.1", False, False),
        ("fe80::1%eth0", True, False),
        ("fd00::1", True, False),
        ("fec0::1", True, False),
        ("::ffff:10.0.0.1", True, False),
        ("::ffff:8.8.8.8", False, False),
        ("2001:db8::1", False, False),
        ("8.8.8.8", False, False),
        ("printer.local", True, False),
        ("box.tailnet.ts.net", True, False),
        ("notlocal", False, False),
        ("localhost.example", False, False),
        ("127.0.0.1%x.example", False, False),
        ("10.0.0.1%eth0", False, False),
    ],
)
def test_which_hosts_are_private(host: str, private: bool, loopback: bool) -> None:
    assert (is_private(host), is_loopback(host)) == (private, loopback)
    url = GatewayUrl("wss", host, 443, "", "")
    assert (url.private, url.loopback) == (private, loopback)


def test_telling_parameters_are_not_shown() -> None:
    url = parse_url("wss://h/p?room=5&Token=sesame&x-api-key=sesame&empty=&authorization=sesame")
    assert url.redacted == "wss://h/p?room=5&Token=…&x-api-key=…&empty=&authorization=…"
    assert str(url) == url.redacted
    assert repr(url) == f"GatewayUrl({url.redacted!r})"
    assert "Token=sesame" in url.text
    assert url.secrets == ("sesame",)
    assert parse_url("wss://h").redacted == "wss://h"


@pytest.mark.parametrize(
    ("query", "forms"),
    [
        ("token=abc+def/ghijk==", ("abc+def/ghijk==", "abc def/ghijk==")),
        ("token=abc%2Bdef%2Fghijk%3D%3D", ("abc%2Bdef%2Fghijk%3D%3D", "abc+def/ghijk==")),
        ("to%6ben=a%20b+c&n=d", ("a%20b+c", "a b c", "a b+c")),
        ("token=&token", ()),
    ],
)
def test_a_secret_is_known_in_every_form_in_which_a_peer_may_quote_it(query: str, forms: tuple[str, ...]) -> None:
    assert parse_url(f"wss://h/?{query}").secrets == forms


@pytest.mark.parametrize("url", ["http://h:3128", "socks5://me:a%2Fb@[::1]:1080", "http://10.0.0.1"])
def test_what_a_proxy_s_url_may_be(url: str) -> None:
    assert is_proxy(url)


@pytest.mark.parametrize("url", ["http://me:a/b@h:3128", "http://h:99999", "http://[::1", "http://a..b:1", "http://"])
def test_what_names_no_proxy(url: str) -> None:
    assert not is_proxy(url)


@given(text=st.text() | st.text().map(lambda tail: f"ws://{tail}") | st.text().map(lambda tail: f"wss://h/{tail}"))
def test_any_text_is_a_url_for_a_request_line_or_refused(text: str) -> None:
    try:
        url = parse_url(text)
    except UsageError:
        return
    path = url.text.removeprefix(f"{url.scheme}://").partition("/")[2]
    assert path.isascii()
    assert not any(char.isspace() for char in path)
    assert isinstance(url.redacted, str)
    assert url.secure or url.private
