"""gevent's monkey patching: real greenlets around a client whose loop keeps a real thread."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.hosts.conftest import PATIENCE, PROMPT, Host, accepts, get, wait_until

GREENLETS = """
from gevent import monkey

monkey.patch_all()

import asyncio

import gevent
from openclaw_client import GatewayClient
from openclaw_client.errors import RunTimeout

beats = 0


def beat():
    global beats
    while True:
        gevent.sleep(0.001)
        beats += 1


def answer(user, message):
    # In a greenlet of this thread, where the client may be called and gevent's own queues are safe.
    heard.put((gevent.get_hub() is hub, client.request("health")["ok"], message.text))


gevent.spawn(beat)
hub = gevent.get_hub()
heard = gevent.queue.Queue()
with GatewayClient() as client:
    client.on_proactive_message(answer)
    jobs = [gevent.spawn(client.chat_send, session_key=f"s{n}", message=f"gated-{n}") for n in range(50)]
    before = beats
    gevent.sleep(0.1)
    assert beats > before
    print("waiting", flush=True)
    assert [job.get().text for job in jobs] == [f"echo: gated-{n}" for n in range(50)]
    before = beats
    with client.chat_stream(session_key="main", message="one") as run:
        assert "".join(run.text_stream) == "echo: one"

    # No loop is running as far as this thread can tell.
    async def other():
        return 1

    assert asyncio.run(other()) == 1
    print("say", flush=True)
    assert heard.get(timeout=30) == (True, True, "hello")

    with gevent.Timeout(0.2, False):
        client.chat_send(session_key="left", message="gated")
    try:
        client.chat_send(session_key="late", message="gated", timeout=0.2)
    except RunTimeout:
        print("right", flush=True)
"""


def test_greenlets_share_a_client(host: Host, gateway: BlockingEmbeddedGateway) -> None:
    with host.start(str(host.write("greenlets.py", GREENLETS))) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        wait_until(lambda: len(gateway.active_runs) == 50, process)
        gateway.release()
        assert process.stdout.readline() == "say\n"
        gateway.say("main", "hello")
        out, err = process.communicate(timeout=PATIENCE)
    assert (out, err, process.returncode) == ("right\n", "", 0)


def test_without_uvloop_it_is_refused(host: Host) -> None:
    script = """
        import sys
        from gevent import monkey

        monkey.patch_all()
        sys.modules["uvloop"] = None
        from openclaw_client import GatewayClient
        from openclaw_client.errors import UsageError

        try:
            GatewayClient().connect()
        except UsageError as error:
            print(error)
    """
    assert "Install uvloop" in host.run(str(host.write("bare.py", script)))


def test_eventlet_is_refused(host: Host) -> None:
    script = """
        import eventlet

        eventlet.monkey_patch()
        from openclaw_client import GatewayClient
        from openclaw_client.errors import UsageError

        try:
            GatewayClient().connect()
        except UsageError as error:
            print(error)
    """
    said = host.run("-W", "ignore", str(host.write("eventlet_patched.py", script)))
    assert said.startswith("eventlet has patched the threads of this process")


APPLICATION = """
from openclaw_client import GatewayClient

client = GatewayClient(identity=False)
client.connect()


def application(environ, start_response):
    message = environ["PATH_INFO"].strip("/")
    text = client.chat_send(session_key=message, message=message).text
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
"""


def test_a_gunicorn_worker_of_gevent(host: Host, gateway: BlockingEmbeddedGateway, server_socket: str) -> None:
    """Connected before the fork and before the patching; then many requests at once in one worker."""
    host.write("application.py", APPLICATION)
    options = ("--preload", "--workers", "1", "--worker-class", "gevent", "--bind", f"unix:{server_socket}")
    with host.start("-m", "gunicorn", *options, "application") as process, ThreadPoolExecutor(20) as pool:
        wait_until(lambda: accepts(server_socket), process)
        answers = [pool.submit(get, server_socket, f"/gated-{number}") for number in range(20)]
        wait_until(lambda: len(gateway.active_runs) == 20, process)
        gateway.release()
        assert [future.result(PATIENCE) for future in answers] == [(200, f"echo: gated-{n}") for n in range(20)]
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < 2 * PROMPT
    assert process.returncode == 0
    assert len(gateway.seen.connects) == 2
