"""Blocking hosts in processes: their end while a call runs, a fork, gevent."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from openclaw_client import GatewayClient, MemoryIdentityStore
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.tools.conftest import Start
from tests.waiting import PATIENCE, wait_until

HOST = """
import sys, threading, time
from openclaw_client import ToolHost, tool
url, token = sys.argv[1:]

def say(*words):
    print(*words, flush=True)

@tool
def stuck() -> str:
    '''Never returns.'''
    say("called")
    threading.Event().wait()

@tool
def where(text: str) -> str:
    '''Where it runs.'''
    return f"{text} {place()}"

def place():
    return threading.current_thread().name

host = ToolHost(url, token=token, name="shop", tools=[stuck, where])
host.connect()
say(host.state)
assert host.wait_published(20)
say(host.state)
"""


@contextmanager
def program(gateway: BlockingEmbeddedGateway, code: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", code, gateway.url, gateway.token or ""]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def serving(gateway: BlockingEmbeddedGateway, process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting_for_approval\n"
    gateway.approve()
    assert process.stdout.readline() == "published\n"


def client(gateway: BlockingEmbeddedGateway) -> GatewayClient:
    return GatewayClient(gateway.url, token=gateway.token, identity=MemoryIdentityStore(DeviceIdentity.generate()))


@pytest.mark.parametrize(
    "end", ["sys.stdin.read()", "sys.stdin.read(); host.close(0)", "import signal; signal.pause()"]
)
def test_a_process_ends_while_a_function_runs(start_gateway: Start, end: str) -> None:
    gateway = start_gateway()
    with program(gateway, HOST + end) as process, client(gateway) as asks:
        serving(gateway, process)
        texts: list[str] = []
        thread = threading.Thread(
            target=lambda: texts.append(asks.chat_send(session_key="s", message="stuck").text), daemon=True
        )
        thread.start()
        assert process.stdout is not None
        assert process.stdout.readline() == "called\n"
        if "signal" in end:
            process.terminate()
        _, err = process.communicate("", timeout=PATIENCE)
        assert process.returncode == (-15 if "signal" in end else 0)
        assert err == ""
        thread.join(PATIENCE)
        assert "node host disconnected" in texts[0]
        wait_until(lambda: not gateway.nodes)


COROUTINES = """
import asyncio, sys, threading
from openclaw_client import AsyncToolHost, tool
url, token = sys.argv[1:]

@tool
def stuck() -> str:
    '''Never returns.'''
    print("called", flush=True)
    threading.Event().wait()

async def main():
    host = AsyncToolHost(url, token=token, name="shop", tools=[stuck])
    await host.connect()
    print(host.state, flush=True)
    assert await host.wait_published(20)
    print(host.state, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await LEAVE

asyncio.run(main())
"""


@pytest.mark.parametrize("leave", ["host.close(0)", "host.close(0.1)", "asyncio.sleep(0)"])
def test_a_loop_ends_while_a_function_runs(start_gateway: Start, leave: str) -> None:
    gateway = start_gateway()
    with program(gateway, COROUTINES.replace("LEAVE", leave)) as process, client(gateway) as asks:
        serving(gateway, process)
        texts: list[str] = []
        thread = threading.Thread(
            target=lambda: texts.append(asks.chat_send(session_key="s", message="stuck").text), daemon=True
        )
        thread.start()
        assert process.stdout is not None
        assert process.stdout.readline() == "called\n"
        _, err = process.communicate("", timeout=PATIENCE)
        assert (process.returncode, err) == (0, "")
        thread.join(PATIENCE)
        assert "node host disconnected" in texts[0]


FORK = """
import logging, os, signal, warnings
# Python 3.12 and later warn of a fork beside threads, which is what this is about.
warnings.simplefilter("ignore", DeprecationWarning)
logging.basicConfig(format="%(message)s", stream=sys.stdout)
# As if another thread were within add().
host._core.registry._lock.acquire()
child = os.fork()
if child:
    host._core.registry._lock.release()
else:
    # A child that waits for it ends by this signal.
    signal.alarm(10)
    host.remove("stuck")
    assert [one.name for one in host.tools] == ["where"]
    assert host.state == "disconnected" and host.published == () and host.active_calls == 0
    host.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
say(host.state)
sys.stdin.read()
host.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_serve_and_says_so(start_gateway: Start) -> None:
    gateway = start_gateway()
    with program(gateway, HOST + FORK) as process, client(gateway) as asks:
        serving(gateway, process)
        assert process.stdout is not None
        told = process.stdout.readline()
        assert told == "the tool host shop serves in the process that was forked, and not in this one\n"
        assert process.stdout.readline() == "published\n"
        assert asks.chat_send(session_key="s", message='where {"text": "fine"}').text.startswith("fine openclaw-tools")
        out, err = process.communicate("", timeout=PATIENCE)
        assert (out, err, process.returncode) == ("", "", 0)


GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent
hub = gevent.get_hub()
"""
GREENLETS = """
def place():
    # A call that lets others run, in the thread of the program.
    gevent.sleep(0.2)
    return gevent.get_hub() is hub

def ends():
    hub.threadpool.apply(sys.stdin.read)
    host.close()
gevent.spawn(ends)
host.run_forever()
say(host.state)
"""


def test_functions_run_in_greenlets(start_gateway: Start) -> None:
    pytest.importorskip("gevent")
    gateway = start_gateway()
    with program(gateway, GEVENT + HOST + GREENLETS) as process, client(gateway) as asks:
        serving(gateway, process)
        texts: dict[int, str] = {}

        def ask(number: int) -> None:
            message = f'where {{"text": "{number}"}}'
            texts[number] = asks.chat_send(session_key=f"s{number}", message=message).text

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert texts == {number: f"{number} True" for number in range(20)}
        out, err = process.communicate("", timeout=PATIENCE)
        assert (out, err, process.returncode) == ("disconnected\n", "", 0)
