"""docs/django.md under WSGI and ASGI, and what async_to_sync makes of clients."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.hosts.conftest import Host, accepts, get, wait_until
from tests.hosts.pages import write_files

SETTINGS = """
import os
from pathlib import Path

BASE_DIR = Path(__file__).parent
SECRET_KEY = "for tests"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
OPENCLAW_URL = os.environ["OPENCLAW_GATEWAY_URL"]
OPENCLAW_TOKEN = os.environ["OPENCLAW_GATEWAY_TOKEN"]
"""

URLS = """
from asgiref.sync import async_to_sync
from django.http import JsonResponse
from django.urls import path

from chat import gateway, live, views
from openclaw_client import AsyncGatewayClient
from openclaw_client.errors import UsageError

shared = AsyncGatewayClient(identity=False)


async def blocking_inside(request):
    # In the running loop of this very thread.
    return gateway.ask(views.user_of(request), request.GET["message"])


async def coroutines_inside(request):
    try:
        await shared.connect()
        return (await shared.chat_send(session_key="shared", message=request.GET["message"])).text
    except UsageError as error:
        return str(error)


def converted(inner):
    return lambda request: JsonResponse({"text": async_to_sync(inner)(request)})


urlpatterns = [
    path("chat", views.chat),
    path("chat-async", views.chat_async),
    path("stream", views.stream),
    path("live", live.live),
    path("blocking-inside", converted(blocking_inside)),
    path("coroutines-inside", converted(coroutines_inside)),
]
"""

SERVERS = {
    "wsgi": ("gunicorn", "--preload", "--workers", "2", "--bind", "unix:{}", "django.core.wsgi:get_wsgi_application()"),
    "asgi": ("uvicorn", "--log-level", "warning", "--uds", "{}", "--factory", "django.core.asgi:get_asgi_application"),
}


class Site:
    def __init__(self, kind: str, server: str) -> None:
        self.kind = kind
        self._server = server

    def ask(self, path: str, user: str, message: str) -> str:
        """The text of the answer."""
        query = urllib.parse.urlencode({"message": message})
        status, body = get(self._server, f"/{path}?{query}", {"X-User": user})
        assert status == 200, body
        return json.loads(body)["text"] if body.startswith("{") else body


@pytest.fixture(params=SERVERS)
def site(request: pytest.FixtureRequest, host: Host, server_socket: str) -> Iterator[Site]:
    write_files(host, "django.md")
    host.write("settings.py", SETTINGS)
    host.write("urls.py", URLS)
    host.environment["DJANGO_SETTINGS_MODULE"] = "settings"
    arguments = (part.format(server_socket) for part in SERVERS[request.param])
    with host.start("-m", *arguments) as process:
        wait_until(lambda: accepts(server_socket), process)
        yield Site(request.param, server_socket)


def test_the_page(site: Site, gateway: BlockingEmbeddedGateway) -> None:
    for path in ("chat", "chat-async", "stream"):
        for user in ("ann", "bob"):
            assert site.ask(path, user, f"{user} at {path}") == f"echo: {user} at {path}"
    if site.kind == "asgi":
        assert [site.ask("live", user, "live") for user in ("ann", "bob", "ann")] == ["echo: live"] * 3
    spoken = [row["text"] for row in gateway.transcript("agent:main:web:bob") if row["role"] == "user"]
    assert spoken == ["bob at chat", "bob at chat-async", "bob at stream", *(["live"] if site.kind == "asgi" else [])]


def test_async_to_sync(site: Site) -> None:
    for number in range(3):
        assert site.ask("blocking-inside", "ann", f"{number}") == f"echo: {number}"
    answers = [site.ask("coroutines-inside", "ann", "hi") for _ in range(4)]
    assert answers[0] == "echo: hi"
    refused = sum("belongs to another event loop" in answer for answer in answers)
    if site.kind == "asgi":
        assert refused == 0
    else:
        # Each call has a loop of its own; with two workers, at most two of four calls are the first of theirs.
        assert refused >= 2
