"""A web application of one user, with two worker processes: six requests at once in one session."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.hosts.conftest import PATIENCE, Host, accepts, get, wait_until

WORKERS = 2
AT_ONCE = 6
WAIT = 200.0
"""Seconds for an answer: a client that looks for a deferred one gives up after two minutes, and says so."""

APPLICATION = """
    import os
    import pathlib
    import time
    import uuid

    from openclaw_client import FileIdentityStore, GatewayClient
    from openclaw_client.errors import GatewayError

    client = GatewayClient(identity=FileIdentityStore(os.environ["DEVICE"]))
    client.connect()


    def wait_for_the_others():
        arrived = pathlib.Path(os.environ["ARRIVED"])
        (arrived / uuid.uuid4().hex).touch()
        deadline = time.monotonic() + 30
        while len(list(arrived.iterdir())) < int(os.environ["AT_ONCE"]) and time.monotonic() < deadline:
            time.sleep(0.005)


    def application(environ, start_response):
        message = environ["PATH_INFO"].strip("/")
        wait_for_the_others()
        try:
            text, status = client.chat_send(session_key=os.environ["SESSION"], message=message).text, "200 OK"
        except GatewayError as error:
            text, status = f"{type(error).__name__}: {error}", "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain")])
        return [f"{os.getpid()} {text}".encode()]
"""
"""Each worker connects for itself; they share the user's device. No message is sent before all requests are there."""


def ask_at_once(host: Host, server: str, session: str, messages: Sequence[str]) -> tuple[list[tuple[int, str]], int]:
    """Status and text for each of the messages, which are sent at the same time, and how many processes answered."""
    host.write("application.py", APPLICATION)
    (host.folder / "arrived").mkdir()
    host.environment |= {
        "ARRIVED": str(host.folder / "arrived"),
        "AT_ONCE": str(AT_ONCE),
        "DEVICE": str(host.folder / "device.json"),
        "SESSION": session,
    }
    # As many connections as threads: a worker that is busy leaves the rest to the other.
    each = str(AT_ONCE // WORKERS)
    share = ("--workers", str(WORKERS), "--threads", each, "--worker-connections", each)
    options = (*share, "--timeout", "300", "--bind", f"unix:{server}")
    with host.start("-m", "gunicorn", *options, "application") as process, ThreadPoolExecutor(AT_ONCE) as pool:
        wait_until(lambda: accepts(server), process)
        paths = [f"/{urllib.parse.quote(message)}" for message in messages]
        answers = list(pool.map(lambda path: get(server, path, patience=WAIT), paths))
        process.terminate()
        process.communicate(timeout=PATIENCE)
    words = [(status, *text.split(" ", 1)) for status, text in answers]
    return [(status, text) for status, _, text in words], len({pid for _, pid, _ in words})
