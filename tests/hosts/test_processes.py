"""Plain processes: multiprocessing, Ctrl-C at every stage, and the end of the interpreter."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.hosts.conftest import PATIENCE, PROMPT, Host, wait_until

POOL = """
import multiprocessing
import os

from openclaw_client import GatewayClient

client = GatewayClient(identity=False)
client.connect()
connection = client.hello.server.conn_id


def ask(number):
    text = client.chat_send(session_key=f"session-{number}", message=str(number)).text
    return os.getpid(), client.hello.server.conn_id, text


with multiprocessing.get_context("fork").Pool(4) as pool:
    answers = pool.map(ask, range(40), chunksize=1)
assert [text for _, _, text in answers] == [f"echo: {number}" for number in range(40)], answers
connections = {connection for _, connection, _ in answers}
assert len(connections) == len({pid for pid, _, _ in answers}) and connection not in connections
assert ask(0)[1] == connection
print("right")
"""


def test_multiprocessing_forks(host: Host, gateway: BlockingEmbeddedGateway) -> None:
    assert host.run(str(host.write("pool.py", POOL))) == "right\n"


INHERITED = """
import os

from openclaw_client import GatewayClient
from openclaw_client.errors import ConnectionLost, RunLost

client = GatewayClient(identity=False)
client.connect()
events = client.events()
with client.chat_stream(session_key="main", message="gated") as run:
    print(next(run.text_stream), flush=True)
    if os.fork() == 0:
        for read in (run.result, lambda: list(run), lambda: list(events)):
            try:
                read()
            except (RunLost, ConnectionLost) as error:
                print(type(error).__name__, "forked" in str(error), flush=True)
        assert client.request("health")["ok"]
        os._exit(0)
    os.wait()
    print("parent", flush=True)
    print(run.result().text)
"""


def test_a_run_of_the_parent_is_not_waited_for_in_a_child(host: Host, gateway: BlockingEmbeddedGateway) -> None:
    with host.start(str(host.write("inherited.py", INHERITED))) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        gateway.release()
        out, err = process.communicate(timeout=PATIENCE)
    assert [line.strip() for line in lines] == [
        "echo:",
        "RunLost True",
        "RunLost True",
        "ConnectionLost True",
        "parent",
    ]
    assert (out, err, process.returncode) == ("echo: gated\n", "", 0)


# Ctrl-C.

BLOCKING = """
import sys
import time

from openclaw_client import GatewayClient

client = GatewayClient(identity=False)
try:
    client.connect()
    print("connected", flush=True)
    if sys.argv[1] == "backoff":
        while client.connected:
            time.sleep(0.01)
        print("away", flush=True)
        client.request("health", timeout=None)
    with client.chat_stream(session_key="main", message="gated") as run:
        for piece in run.text_stream:
            print(piece, flush=True)
except KeyboardInterrupt:
    if sys.argv[2] == "bare":
        raise
    print("interrupted", flush=True)
"""

COROUTINES = """
import asyncio
import sys

from openclaw_client import AsyncGatewayClient


async def main():
    client = AsyncGatewayClient(identity=False)
    await client.connect()
    print("connected", flush=True)
    if sys.argv[1] == "backoff":
        while client.connected:
            await asyncio.sleep(0.01)
        print("away", flush=True)
        await client.request("health", timeout=None)
    async with client.chat_stream(session_key="main", message="gated") as run:
        async for piece in run.text_stream:
            print(piece, flush=True)


try:
    asyncio.run(main())
except KeyboardInterrupt:
    if sys.argv[2] == "bare":
        raise
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("ending", ["caught", "bare"])
@pytest.mark.parametrize("stage", ["connect", "stream", "backoff"])
@pytest.mark.parametrize("program", [BLOCKING, COROUTINES], ids=["sync", "async"])
def test_ctrl_c(host: Host, gateway: BlockingEmbeddedGateway, program: str, stage: str, ending: str) -> None:
    """A script that catches it prints nothing of ours; one that doesn't prints Python's own traceback alone."""
    if stage == "connect":
        gateway.faults.withhold_challenge()
    with host.start(str(host.write("script.py", program)), stage, ending) as process:
        reach(stage, process, gateway)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < PROMPT
    if ending == "caught":
        assert (out, err, process.returncode) == ("interrupted\n", "", 0)
    else:
        assert err.startswith("Traceback (most recent call last):")
        assert err.endswith("\nKeyboardInterrupt\n")
        assert not any(noise in err for noise in ("never awaited", "destroyed", "ignored", "never retrieved"))
        assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize(("stage", "code"), [("connect", 130), ("stream", 8)])
def test_ctrl_c_on_the_command_line(host: Host, gateway: BlockingEmbeddedGateway, stage: str, code: int) -> None:
    """With a run under way it aborts the run, and the exit code says that."""
    if stage == "connect":
        gateway.faults.withhold_challenge()
    with host.start("-m", "openclaw_client", "chat", "gated") as process:
        assert process.stdout is not None
        if stage == "connect":
            wait_until(lambda: gateway.seen.opened, process)
        else:
            assert process.stdout.read(4) == "echo"
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < PROMPT
    assert (err, process.returncode) == ("" if stage == "connect" else "[aborted]\n", code)


def reach(stage: str, process: subprocess.Popen[str], gateway: BlockingEmbeddedGateway) -> None:
    assert process.stdout is not None
    if stage == "connect":
        wait_until(lambda: gateway.seen.opened, process)
        return
    assert process.stdout.readline() == "connected\n"
    if stage == "stream":
        assert process.stdout.readline() == "echo: \n"
    else:
        gateway.stop()
        assert process.stdout.readline() == "away\n"


# The end.

OUTLIVED = """
import threading

from openclaw_client import GatewayClient


def work():
    threading.main_thread().join()
    try:
        with GatewayClient() as client:
            print(client.chat_send(session_key="main", message="after the main thread").text)
    except RuntimeError as error:
        print(error)


threading.Thread(target=work).start()
"""
NO_LATE_THREADS = {(3, 12, 0), (3, 12, 1)}
"""Pythons that start no thread once the main one is over; 3.12.2 waits for the other threads' ends again."""


def test_a_thread_that_outlives_the_main_thread_can_connect(host: Host) -> None:
    told = host.run(str(host.write("outlived.py", OUTLIVED)))
    if sys.version_info[:3] in NO_LATE_THREADS:
        assert told == "can't create new thread at interpreter shutdown\n"
    else:
        assert told == "echo: after the main thread\n"


AT_EXIT = """
import atexit

from openclaw_client import GatewayClient
from openclaw_client.errors import UsageError


def late():
    client.close()
    try:
        client.request("health")
    except UsageError as error:
        print(error)


client = GatewayClient(identity=False)
atexit.register(late)
client.connect()
run = client.chat_stream(session_key="main", message="gated")
run.__enter__()
"""


def test_what_is_called_after_the_end_does_not_hang(host: Host) -> None:
    """The client's own clean-up was registered later, so it has run before."""
    assert host.run(str(host.write("at_exit.py", AT_EXIT))).startswith("request() came with the end of the process")
