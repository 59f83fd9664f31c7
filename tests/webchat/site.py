"""The web application on a real socket, in a thread of its own, before a gateway in another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from examples.webchat.accounts import COOKIE, Accounts
from examples.webchat.server import Server, Setup, build_app, make_server, session_key
from openclaw_client import ReconnectPolicy
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.waiting import wait_until

SECRET = b"only for tests"
USERS = ("ada", "grace")
QUICK = ReconnectPolicy(initial=0.05, maximum=0.2)


@contextmanager
def serving(server: Server) -> Iterator[str]:
    """A server in a thread; its address, for the length of the block. Ended as Ctrl-C ends it."""
    thread = threading.Thread(target=server.run, name="webchat")
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started, "the web application did not start"
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


class Site:
    """The application before a gateway. `start` and `stop` may be called again and again; the address stays.

    state: a folder for the users' devices; without it every start makes new ones.
    """

    def __init__(self, gateway: BlockingEmbeddedGateway, state: Path | None = None) -> None:
        self.gateway = gateway
        self.state = state
        self.url = ""
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        url, token = self.gateway.url, self.gateway.token
        setup = Setup(USERS, url=url, token=token, state=self.state, secret=SECRET, reconnect=QUICK)
        server = make_server(build_app(setup), host="127.0.0.1", port=urlsplit(self.url).port or 0)
        self.url = self._running.enter_context(serving(server))

    def stop(self) -> None:
        self._running.close()

    def cookies(self, user: str) -> dict[str, str]:
        """What a browser has after signing in."""
        return {COOKIE: Accounts(USERS, SECRET).cookie(user)}

    def say(self, user: str, text: str) -> None:
        """A message that nobody asked for."""
        self.gateway.say(session_key(user), text)
