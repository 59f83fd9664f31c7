"""Processes in which a blocking client has little: a fork while it starts, closed standard streams, no descriptors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture
def gateway() -> Iterator[BlockingEmbeddedGateway]:
    with BlockingEmbeddedGateway() as gateway:
        yield gateway


def run(program: str, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONWARNINGS": "ignore"}
    if path is not None:
        environ["PYTHONPATH"] = os.pathsep.join([str(path), environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


SLOW_MODULE = """
import sys, threading
loading.set()
# Until the main thread has come to its fork, and long enough for it to be there.
threading.Event().wait(0.3)
"""
FORK_WHILE_LOADING = """
import builtins, os, signal, sys, threading
from openclaw_client import DeviceIdentity, GatewayClient
loading = builtins.loading = threading.Event()
url, token = sys.argv[1:]
identity = DeviceIdentity(bytes(range(32)), "linux")
def connect():
    with GatewayClient(url, token=token, identity=identity) as client:
        client.request("health")
thread = threading.Thread(target=connect)
thread.start()
assert loading.wait(10)
child = os.fork()
if not child:
    signal.alarm(10)
    connect()
    os._exit(0)
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("module", ["uvloop", "cryptography.hazmat.primitives.asymmetric.ed25519"])
def test_a_fork_while_another_thread_connects_for_the_first_time(
    gateway: BlockingEmbeddedGateway, tmp_path: Path, module: str
) -> None:
    """What is loaded late stands in the child's way for ever where it is loaded in the moment of the fork."""
    program = FORK_WHILE_LOADING
    if module == "uvloop":
        (tmp_path / "uvloop.py").write_text(f"{SLOW_MODULE}\nfrom asyncio import new_event_loop\n")
    else:
        program = f"{HOLD_UP}\n{program}".replace("MODULE", module)
    done = run(program, gateway.url, gateway.token or "", path=tmp_path)
    assert (done.stdout, done.stderr) == ("0\n", "")


HOLD_UP = """
import sys, threading
class HoldUp:
    def find_spec(self, name, path=None, target=None):
        if name == "MODULE":
            loading.set()
            threading.Event().wait(0.3)
sys.meta_path.insert(0, HoldUp())
"""

CLOSED = """
import os, sys
from openclaw_client import GatewayClient
for number in sys.argv[3:]:
    os.close(int(number))
with GatewayClient(sys.argv[1], token=sys.argv[2], identity=False) as client:
    client.chat_send(session_key="main", message="hi")
"""


@pytest.mark.parametrize("closed", ["0", "1", "2", "012"])
def test_closed_standard_streams_are_no_end(gateway: BlockingEmbeddedGateway, closed: str) -> None:
    pytest.importorskip("uvloop")
    done = run(CLOSED, gateway.url, gateway.token or "", *closed)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


FULL = """
import os, resource, sys
from openclaw_client import GatewayClient
from openclaw_client.errors import GatewayError
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
for _ in range(int(sys.argv[3])):
    os.close(taken.pop())
client = GatewayClient(sys.argv[1], token=sys.argv[2], identity=False)
try:
    client.connect()
except GatewayError as error:
    for number in taken:
        os.close(number)
    print(type(error).__name__, "Too many open files" in error.message, "ulimit" in error.remedy)
client.connect()
print(client.connected)
"""


@pytest.mark.parametrize("left", range(0, 14, 2))
def test_no_descriptors_left_is_a_typed_error(gateway: BlockingEmbeddedGateway, left: int) -> None:
    done = run(FULL, gateway.url, gateway.token or "", str(left))
    assert (done.returncode, done.stdout, done.stderr) == (0, "Unreachable True True\nTrue\n", "")


EVENTS_FIRST = """
import os, signal, sys
from openclaw_client import GatewayClient
client = GatewayClient(sys.argv[1], token=sys.argv[2], identity=False)
client.connect()
child = os.fork()
if not child:
    signal.alarm(10)
    print(next(client.events("tick")).name, client.connected, flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
client.disconnect()
"""


def test_the_first_call_of_a_forked_child_may_be_for_events() -> None:
    with BlockingEmbeddedGateway(tick_interval=0.1) as gateway:
        done = run(EVENTS_FIRST, gateway.url, gateway.token or "")
    assert (done.stdout, done.stderr) == ("tick True\n0\n", "")


FORK_WHILE_WATCHING = """
import os, signal, sys
from openclaw_client import DeviceIdentity, GatewayClient
from openclaw_client.errors import ConnectionLost
url, token = sys.argv[1:]
client = GatewayClient(url, token=token, identity=DeviceIdentity(bytes(range(32)), "linux"))
client.connect()
lists, rows = client.watch_sessions(), client.watch_session(session_key="s")
next(lists)
child = os.fork()
if not child:
    signal.alarm(15)
    for stream in (lists, rows):
        try:
            next(stream)
        except ConnectionLost:
            continue
        os._exit(2)
    with client.watch_session(session_key="s") as mine:
        client.chat_send(session_key="s", message="from the child")
        if next(mine).text != "from the child":
            os._exit(3)
    client.disconnect()
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert next(rows).text == "from the child"
client.disconnect()
"""


def test_what_is_watched_stays_with_the_parent(gateway: BlockingEmbeddedGateway) -> None:
    assert gateway.token is not None
    ran = run(FORK_WHILE_WATCHING, gateway.url, gateway.token)
    assert (ran.returncode, ran.stderr) == (0, "")


FORK_AND_WATCH_THE_LIST = """
import os, signal, sys
from openclaw_client import DeviceIdentity, GatewayClient
url, token = sys.argv[1:]
client = GatewayClient(url, token=token, identity=DeviceIdentity(bytes(range(32)), "linux"))
client.connect()
child = os.fork()
if not child:
    signal.alarm(15)
    with client.watch_sessions() as mine:
        assert next(mine).sessions == ()
    client.disconnect()
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
client.disconnect()
"""


def test_a_child_watches_over_a_connection_of_its_own(gateway: BlockingEmbeddedGateway) -> None:
    assert gateway.token is not None
    ran = run(FORK_AND_WATCH_THE_LIST, gateway.url, gateway.token)
    assert (ran.returncode, ran.stderr) == (0, "")


FORK_WHILE_A_RUN_IS_NOTED = """
import os, signal, threading
from openclaw_client.client.siblings import siblings
from openclaw_client.runs.application import Application
noting, over = threading.Event(), threading.Event()
def note():
    with siblings._lock:
        noting.set()
        over.wait()
thread = threading.Thread(target=note)
thread.start()
noting.wait()
child = os.fork()
if not child:
    signal.alarm(10)
    siblings.sent(Application("shop"), "shop-1")
    os._exit(0)
over.set()
thread.join()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_a_fork_while_another_thread_notes_a_run() -> None:
    ran = run(FORK_WHILE_A_RUN_IS_NOTED)
    assert (ran.returncode, ran.stderr) == (0, "")
