"""gunicorn: a client connected before the workers are forked, and workers that are told to stop."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.hosts.conftest import PATIENCE, Host, accepts, get, wait_until

WORKERS = 4

APPLICATION = """
import os

from openclaw_client import GatewayClient
from openclaw_client.errors import GatewayError

client = GatewayClient(identity=False)
client.connect()


def application(environ, start_response):
    message = environ["PATH_INFO"].strip("/")
    try:
        text, status = client.chat_send(session_key=message, message=message).text, "200 OK"
    except GatewayError as error:
        text, status = type(error).__name__, "503 Service Unavailable"
    start_response(status, [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {client.hello.server.conn_id} {text}".encode()]
"""

PARENT = """
import application

connection = application.client.hello.server.conn_id


def on_exit(server):
    text = application.client.chat_send(session_key="parent", message="still here").text
    print(application.client.hello.server.conn_id == connection, text)
"""


def test_each_worker_has_a_connection_and_the_parent_keeps_its_own(
    host: Host, gateway: BlockingEmbeddedGateway, server_socket: str
) -> None:
    host.write("application.py", APPLICATION)
    host.write("gunicorn.conf.py", PARENT)
    options = ("--preload", "--workers", str(WORKERS), "--bind", f"unix:{server_socket}", "application")
    with host.start("-m", "gunicorn", *options) as process, ThreadPoolExecutor(WORKERS) as pool:
        wait_until(lambda: accepts(server_socket), process)
        # One request to each: a worker takes no second one while its first waits at the gate.
        held = [pool.submit(get, server_socket, f"/gated-{number}") for number in range(WORKERS)]
        wait_until(lambda: len(gateway.active_runs) == WORKERS, process)
        gateway.release()
        answers = [future.result(PATIENCE) for future in held]
        more = list(pool.map(lambda number: get(server_socket, f"/message-{number}"), range(40)))
        opened = gateway.open_connections
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=PATIENCE)

    words = [text.split(" ", 2) for _, text in answers]
    assert [status for status, _ in answers] == [200] * WORKERS
    assert [text for _, _, text in words] == [f"echo: gated-{number}" for number in range(WORKERS)]
    assert [(status, text.split(" ", 2)[2]) for status, text in more] == [
        (200, f"echo: message-{number}") for number in range(40)
    ]
    assert len({pid for pid, _, _ in words}) == len({connection for _, connection, _ in words}) == WORKERS
    assert opened == len(gateway.seen.connects) == WORKERS + 1
    assert (out, process.returncode) == ("True echo: still here\n", 0)


GRACE = 20

GRACEFUL = """
import signal
import threading

import application


def post_worker_init(worker):
    stop = signal.getsignal(signal.SIGTERM)

    def stop_soon(number, frame):
        timer = threading.Timer(2.0, application.client.close)
        timer.daemon = True
        timer.start()
        stop(number, frame)

    signal.signal(signal.SIGTERM, stop_soon)
"""


def test_sigterm_lets_runs_end_and_hands_an_error_to_the_others(
    host: Host, gateway: BlockingEmbeddedGateway, server_socket: str
) -> None:
    host.write("application.py", APPLICATION)
    host.write("gunicorn.conf.py", GRACEFUL)
    options = ("--workers", "1", "--threads", "2", "--graceful-timeout", str(GRACE), "--bind", f"unix:{server_socket}")
    with host.start("-m", "gunicorn", *options, "application") as process, ThreadPoolExecutor(2) as pool:
        wait_until(lambda: accepts(server_socket), process)
        ending = pool.submit(get, server_socket, "/gated-ending")
        [run] = wait_until(lambda: gateway.active_runs, process)
        endless = pool.submit(get, server_socket, "/gated-endless")
        wait_until(lambda: len(gateway.active_runs) == 2, process)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        gateway.release(run)
        answers = ending.result(PATIENCE), endless.result(PATIENCE)
        process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < GRACE
    assert [(status, text.split(" ", 2)[2]) for status, text in answers] == [
        (200, "echo: gated-ending"),
        (503, "RunLost"),
    ]
    assert process.returncode == 0
