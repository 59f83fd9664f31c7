"""What an HTTP answer says that is no WebSocket: its target, a gateway's own reason, a proxy that passes no upgrade."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openclaw_client import Timeouts
from openclaw_client.errors import ConnectError
from openclaw_client.errors.peer_text import one_line
from openclaw_client.policy.advice import advice_for
from openclaw_client.transport.refused import refusal
from tests.faces import Face
from tests.transport.servers import Serve, serving, web

TOKEN = "canary-shared-token-7f3a"
ATTRIBUTION = {
    "error": {
        "message": "Proxy client attribution is required. Configure gateway.trustedProxies narrowly.",
        "type": "proxy_attribution_required",
    }
}
PAGE = '<!doctype html>\n<html lang="en"><head><title>OpenClaw Control</title></head>'


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://h/openclaw/", "https://h/openclaw/"),
        ("/openclaw/", "/openclaw/"),
        ("https://me:secret@login.example/a?token=secret#secret", "https://login.example/a"),
        ("https://h/\x1b]0;x\x07", "https://h/]0;x"),
        (f"https://h/{'x' * 5000}", f"https://h/{'x' * 230}"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_shows_its_target_and_no_secret(status: int, location: str, told: str) -> None:
    code, what = refusal(status, {"Location": location}, b"")
    assert code == f"HTTP_{status}"
    assert what == f"HTTP {status} instead of a WebSocket; it points to {told}"


@pytest.mark.parametrize("frame", ["%s", "11e\r\n%s\r\n0\r\n\r\n"])
def test_a_gateways_own_reason_is_read(frame: str) -> None:
    body = (frame % json.dumps(ATTRIBUTION)).encode()
    code, what = refusal(403, {"Server": "nginx"}, body)
    assert code == "PROXY_ATTRIBUTION_REQUIRED"
    assert "from nginx: Proxy client attribution is required." in what
    code, what = refusal(429, {}, b'{"error": {"type": "rate_limited", "message": "Too many failed attempts."}}')
    assert (code, what) == ("HTTP_429", "HTTP 429 instead of a WebSocket: Too many failed attempts.")


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, PAGE, "UPGRADE_NOT_PASSED"),
        (426, "Upgrade Required", "UPGRADE_NOT_PASSED"),
        (101, "", "HTTP_101"),
        (200, "", "HTTP_200"),
        (200, "<h1>It works</h1>", "HTTP_200"),
        (403, "{}", "HTTP_403"),
        (403, '{"error": "no"}', "HTTP_403"),
        (403, '{"error": {"type": ["x"], "message": 5}}', "HTTP_403"),
        (403, '{"error": ' * 5000, "HTTP_403"),
    ],
)
def test_other_answers(status: int, body: str, code: str) -> None:
    found, what = refusal(status, {}, body.encode())
    assert found == code
    assert advice_for(found) is not None
    assert what.startswith(f"HTTP {status} instead of a WebSocket")


texts = st.text(max_size=400)
messages = st.builds(lambda text, kind: json.dumps({"error": {"message": text, "type": kind}}).encode(), texts, texts)


@given(body=st.binary(max_size=500) | messages, server=texts, location=texts)
@example(body=b"", server="n" * 39 + " 1.0", location="")
def test_whatever_a_stranger_says_is_one_short_line(body: bytes, server: str, location: str) -> None:
    code, what = refusal(403, {"Server": server, "Location": location}, body)
    assert advice_for(code) is not None
    assert what == one_line(what)
    assert len(what) < 350


async def failure(face: Face, port: int, path: str = "") -> ConnectError:
    limits = Timeouts(connect=20)
    client = face.client(f"ws://127.0.0.1:{port}{path}", token=TOKEN, identity=False, timeouts=limits)
    with pytest.raises(ConnectError) as caught:
        await client.connect()
    await client.disconnect()
    return caught.value


@pytest.mark.parametrize(
    ("serve", "code", "said"),
    [
        (web("HTTP/1.1 301 Moved", "Location: http://h/gw/"), "HTTP_301", "it points to http://h/gw/"),
        (web("HTTP/1.1 403 Forbidden", body=json.dumps(ATTRIBUTION)), "PROXY_ATTRIBUTION_REQUIRED", "attribution"),
        (web(body=PAGE), "UPGRADE_NOT_PASSED", "proxy_http_version 1.1"),
        (web(body=""), "HTTP_200", "proxy_http_version 1.1"),
        (web("HTTP/1.1 403 No", body=json.dumps({"error": {"message": f"not {TOKEN}"}})), "HTTP_403", "not …"),
    ],
)
async def test_what_connect_says_of_it(serve: Serve, code: str, said: str, face: Face) -> None:
    with serving(serve) as port:
        error = await failure(face, port)
    assert (error.detail_code, error.stage) == (code, "upgrade")
    assert said in str(error)
    assert TOKEN not in str(error)


@pytest.mark.parametrize("path", ["/openclaw/", "/openclaw", "/a//b/?x=1", "/", ""])
async def test_the_path_goes_out_as_it_is_written(path: str, face: Face) -> None:
    lines: list[bytes] = []

    async def serve(reader: Any, writer: Any) -> None:
        lines.append(await reader.readline())
        writer.close()

    with serving(serve) as port:
        await failure(face, port, path)
    assert lines[0] == f"GET {path or '/'} HTTP/1.1\r\n".encode()
